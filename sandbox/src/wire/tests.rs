use super::*;

#[test]
fn form_encoded_and_parsed_is_equal() {
    let mut form = Form::default();
    form.set("TemplateBody", "a: \"b & c\"\n+ü");
    form.set("Accounts.member.1", "111111111111");
    assert_eq!(Form::parse(&form.encode()), form);
}

#[test]
fn form_remove_removes_members_only() {
    let mut form = Form::parse("Accounts.member.1=1&Accounts.member.2=2&AccountsUrl=u");
    assert_eq!(form.list("Accounts"), ["1", "2"]);
    form.remove("Accounts");
    assert_eq!(form.encode(), "AccountsUrl=u");
}

#[test]
fn xml_elements_nested_returns_outermost() {
    let xml = "<L><member><A>1</A><member>x</member></member><member><A>2</A></member></L>";
    assert_eq!(xml_elements(xml, "member"), ["<A>1</A><member>x</member>", "<A>2</A>"]);
}

#[test]
fn xml_text_common_prefix_is_another_element() {
    assert_eq!(xml_text("<StackSetId>a</StackSetId><StackSet>b</StackSet>", "StackSet").as_deref(), Some("b"));
}

#[test]
fn xml_escaped_and_unescaped_is_equal() {
    let text = "a < b && \"c\" > 'd' &lt;";
    assert_eq!(xml_unescape(&xml_escape(text)), text);
}

#[test]
fn percent_encoding_keeps_unreserved_characters() {
    assert_eq!(percent_encode("a-b_c.d~e/f ü"), "a-b_c.d~e%2Ff%20%C3%BC");
    assert_eq!(percent_decode("a%2Fb%20c%zz"), "a/b c%zz");
}
