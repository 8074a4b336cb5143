use super::scan;

#[test]
fn strings_are_read_as_the_lexer_reads_them() {
    for text in [
        r#""a\"b""#,
        r#"'a"b'"#,
        r#"r"\""#,
        r#"R'\'"#,
        "\"\"\"a \" \"\" \n\\\" b\"\"\"",
        "r'''\\\n'''",
        r#""\x41\u00e9\U0001F600\101\n""#,
        "\"\" == ''",
    ] {
        assert_eq!(scan(text), Ok(()), "{text}");
    }
}

#[test]
fn a_string_that_the_lexer_would_not_read_is_refused() {
    for text in [r#""\d""#, r#""\x4""#, r#""\400""#, "\"a\nb\"", "'", "'''a''", "\"\\", "b'a'", "x'a'", "\"\\u00g0\""] {
        assert!(scan(text).is_err(), "{text}");
    }
}
