use super::*;

#[test]
fn a_form_survives_the_wire() {
    let mut form = Form::default();
    form.set("TemplateBody", "a: \"b & c\"\n+ü");
    form.set("Accounts.member.1", "111111111111");
    assert_eq!(Form::parse(&form.encode()), form);
}

#[test]
fn removing_a_parameter_takes_its_members_and_no_namesakes() {
    let mut form = Form::parse("Accounts.member.1=1&Accounts.member.2=2&AccountsUrl=u");
    assert_eq!(form.list("Accounts"), ["1", "2"]);
    form.remove("Accounts");
    assert_eq!(form.encode(), "AccountsUrl=u");
}

#[test]
fn elements_of_one_name_may_nest() {
    let xml = "<L><member><A>1</A><member>x</member></member><member><A>2</A></member></L>";
    assert_eq!(xml_elements(xml, "member"), ["<A>1</A><member>x</member>", "<A>2</A>"]);
}

#[test]
fn an_element_is_not_taken_for_one_that_begins_alike() {
    assert_eq!(xml_text("<StackSetId>a</StackSetId><StackSet>b</StackSet>", "StackSet").as_deref(), Some("b"));
}

#[test]
fn text_comes_back_as_it_was_written() {
    let text = "a < b && \"c\" > 'd' &lt;";
    assert_eq!(xml_unescape(&xml_escape(text)), text);
}

#[test]
fn base64_pads() {
    assert_eq!(
        [base64(b""), base64(b"f"), base64(b"fo"), base64(b"foo"), base64(b"foob")],
        ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
    );
}
