use super::*;

fn one(line: &str) -> Result<String, String> {
    let pairs = parse(line).map_err(|(_, message)| message.to_owned())?;
    assert_eq!(pairs.len(), 1, "{pairs:?}");
    Ok(pairs[0].1.clone())
}

#[test]
fn lines_keep_their_order_without_comments() {
    let text = "# the sandbox\n\nexport AWS_REGION=us-east-1\nSTATE_TABLE_NAME=state # mine\n  export EMPTY=\n";
    let pairs = parse(text).unwrap();
    let expected = [("AWS_REGION", "us-east-1"), ("STATE_TABLE_NAME", "state"), ("EMPTY", "")];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn quotes_are_removed_as_in_a_shell() {
    for (line, value) in [
        ("A='two words $HOME'", "two words $HOME"),
        (r"A='it'\''s'", "it's"),
        (r#"A="say \"hi\" \\ \n""#, r#"say "hi" \ \n"#),
        (r"A=two\ words", "two words"),
        ("A=http://x:1/?a=b#c", "http://x:1/?a=b#c"),
    ] {
        assert_eq!(one(line).as_deref(), Ok(value), "{line}");
    }
}

#[test]
fn expansions_and_unquoted_spaces_are_rejected() {
    for line in ["A=$HOME", "A=\"$HOME\"", "A=`date`", "A=two words", "A='open", "A=\"open", "A=\"open\\", "A=end\\"] {
        assert!(one(line).is_err(), "{line}");
    }
}

#[test]
fn line_without_assignment_is_rejected() {
    let text = "export A=1\nunset B\n";
    assert_eq!(parse(text), Err((2, "expected `export NAME=value`")));
    for line in ["=1", "1A=1", "A B=1", "export"] {
        assert!(parse(line).is_err(), "{line}");
    }
}
