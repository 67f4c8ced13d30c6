//! Tests of [`super`]: words, quotes and comments.

use super::*;

/// Writes a line's words with a stroke between them, those in quotes in angles.
fn split(line: &str) -> String {
    let word = |word: &Word<'_>| match word.quoted {
        true => format!("<{}>", word.text),
        false => word.text.to_string(),
    };
    let words = words(line).unwrap_or_else(|wrong| panic!("{line}: {wrong}"));
    words.iter().map(word).collect::<Vec<_>>().join("|")
}

#[test]
fn quotes_keep_a_text_together() {
    for (line, words) in [
        ("", ""),
        ("  t\tB   30 \r", "t|B|30"),
        ("t B 30 --for \"invoice 17\"", "t|B|30|--for|<invoice 17>"),
        ("t B 30 --for 'invoice 17' --settled", "t|B|30|--for|<invoice 17>|--settled"),
        (r#"say "a \"b\" \\ c""#, r#"say|<a "b" \ c>"#),
        (r"say 'a \ b'", r"say|<a \ b>"),
        (r#"say 'a "b"' "it's""#, r#"say|<a "b">|<it's>"#),
        ("say \"\" ''", "say|<>|<>"),
        ("batch B 1 --for \"a, b\",C 2", "batch|B|1|--for|<a, b>|,C|2"),
        ("say \"a # b\" # c \"", "say|<a # b>"),
        ("say \"家 賃\"#x", "say|<家 賃>"),
        // A quote within a word is a letter.
        ("say don't \u{a0}5\"", "say|don't|5\""),
        ("chain # it's", "chain"),
        ("chain#3", "chain"),
    ] {
        assert_eq!(split(line), words, "{line}");
    }
}

#[test]
fn quotes_that_are_not_in_pairs_are_an_error() {
    for (line, wrong) in [
        ("t B 30 --for \"invoice 17", "the closing quote of \"invoice 17\" is missing"),
        ("t B 30 --for 'tis", "the closing quote of \"tis\" is missing"),
        ("t B 30 --for \"a\\\"", "is missing: a text is \"invoice 17\" or 'invoice 17'"),
        ("t B 30 --for \"a\\", "is missing"),
        ("\"", "the closing quote of \"\" is missing"),
        ("t \"a\"b", "a space is missing behind the quotes of \"a\""),
        ("t 'a''b'", "a space is missing behind the quotes of \"a\""),
        ("t \"a\"b 'c", "a space is missing behind the quotes of \"a\""),
    ] {
        let said = words(line).unwrap_err();
        assert!(said.contains(wrong), "{line}: {said}");
    }
    let long = format!("'{}", "x".repeat(1 << 20));
    assert!(words(&long).unwrap_err().len() < 200);
}

#[test]
fn a_comment_begins_outside_quotes() {
    for (line, left) in [
        ("balance # of A", "balance "),
        ("t B 1 --for \"#17\" # it's late", "t B 1 --for \"#17\" "),
        ("t B 1 --for 'open", "t B 1 --for 'open"),
        ("# all", ""),
        ("none", "none"),
    ] {
        assert_eq!(without_comment(line), left);
    }
    assert_eq!(outside_quotes("t B 1 --for \"a: b\" --settled"), "t B 1 --for --settled");
}

#[test]
fn commas_part_words_unless_they_are_in_quotes() {
    let parted = |line| {
        let words = words(line).unwrap();
        let part = |part: &Vec<Word<'_>>| {
            part.iter().map(|word| word.text.to_string()).collect::<Vec<_>>().join(" ")
        };
        parts(&words).iter().map(part).collect::<Vec<_>>().join("|")
    };
    for (line, parts) in [
        ("A B 1", "A B 1"),
        ("A B 1, C 2 ,D 3", "A B 1|C 2|D 3"),
        ("A B 1 --for \"a, b\", C 2", "A B 1 --for a, b|C 2"),
        ("A B 1,", "A B 1|"),
        (",,", "||"),
        ("", ""),
        ("(A, B, 30), (B, C, 5)", "(A, B, 30)|(B, C, 5)"),
        ("(A,B,30),(B,C,5)", "(A,B,30)|(B,C,5)"),
        ("(A, B, 30) ( B ,C,5 )", "(A, B, 30)|( B ,C,5 )"),
        ("open A/x,(A, A/x, 5) --for rent, B 1", "open A/x|(A, A/x, 5) --for rent|B 1"),
        ("A B 1 --for (urgent, C 2", "A B 1 --for (urgent|C 2"),
        ("(A, B", "(A, B "),
    ] {
        assert_eq!(parted(line), parts, "{line}");
    }
}

#[test]
fn what_is_put_in_quotes_is_read_again() {
    for text in ["invoice 17", "a \"b\" \\ 'c'", "", "\\", "#1, two", "家賃"] {
        let line = in_quotes(text);
        assert_eq!(words(&line), Ok(vec![Word { text: text.into(), quoted: true }]), "{line}");
        let shell = ["t", "B", "30", "--for", text].map(String::from);
        let line = line_of(&shell);
        let of_shell = words(&line).map(|words| words[4..].to_vec());
        let needs_none = ["\\", "家賃"].contains(&text);
        let expected = Word { text: text.into(), quoted: !needs_none };
        assert_eq!(of_shell, Ok(vec![expected]), "{text}");
    }
    let as_before = ["t", "B 30", "--settled"].map(String::from);
    assert_eq!(line_of(&as_before), "t B 30 --settled");
}
