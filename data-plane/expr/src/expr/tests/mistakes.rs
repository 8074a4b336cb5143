//! What is refused, and in which words.

use crate::{Expr, Place};

fn said(text: &str) -> String {
    match Expr::compile(text, Place::Tape) {
        Ok(_) => panic!("{text} was compiled"),
        Err(mistake) => mistake.to_string(),
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_cure() {
    for (text, expected) in [
        ("", "1:1: there is nothing to evaluate (as in tool == \"search\")"),
        ("tool ==", "1:8: the expression ends too early"),
        ("tool = \"x\"", "1:6: `=` alone is no operator (write `==`)"),
        ("tool == \"x\" and size > 1", "1:13: `and` is not expected here (write &&)"),
        ("tool == \"x\" & size > 1", "1:13: `&` alone is no operator (write `&&`)"),
        ("tool == \"x", "1:9: this string has no end (close it with \")"),
        ("tool == \"\\d\"", "1:10: no such escape in a string (write \\\\ for a backslash, or a raw string: r\"…\")"),
        ("tool == “x”", "1:9: '“' has no meaning outside a string"),
        ("tol == \"x\"", "1:1: no name `tol` here (did you mean \"tool\"?)"),
        ("tool == search", "1:9: no name `search` here (a string is written in quotation marks)"),
        ("principal.subjct == \"x\"", "1:10: no member \"subjct\" in principal (did you mean \"subject\"?)"),
        ("error == 5", "1:1: `error` is no value: its members are (one of code, message)"),
        ("tool.name == \"x\"", "1:5: a string has no member \"name\""),
        ("latency > 2", "1:11: a duration and an int cannot be compared (write duration(\"2s\"))"),
        ("latency > \"2s\"", "1:11: a duration and a string cannot be compared (write duration(\"2s\"))"),
        ("tool == 5", "1:9: a string and an int cannot be compared (write \"5\")"),
        ("5 == tool", "1:1: a string and an int cannot be compared (write \"5\")"),
        ("status == \"200\"", "1:11: an int and a string cannot be compared (write 200)"),
        ("tool == null", "1:9: a string and a null cannot be compared (what is absent is the empty string: \"\")"),
        ("tool in [\"a\", 5]", "1:9: a string and an int cannot be compared (write \"5\")"),
        ("principal.roles == \"ci\"", "1:20: a list of strings and a string cannot be compared (write \"ci\" in …)"),
        ("principal.roles.contains(\"ci\")", "1:25: a list has no `contains` (write: value in list)"),
        ("\"a\" in tool", "1:8: nothing is in a string (to search a string: string.contains(\"…\"))"),
        (
            "time > timestamp(\"yesterday\")",
            "1:18: \"yesterday\" is no timestamp (as in timestamp(\"2026-11-21T00:00:00Z\"))",
        ),
        ("outcome == \"refusd\"", "1:12: `outcome` is never \"refusd\" (did you mean \"refused\"?)"),
        ("direction in [\"up\"]", "1:14: `direction` is never \"up\" (it is one of c2s, s2c, local)"),
        ("tool.contain(\"x\")", "1:13: no function `contain` (did you mean \"contains\"?)"),
        (
            "tool.contains(5)",
            "1:14: `contains` cannot be called like this, of string, int (it is string.contains(string))",
        ),
        (
            "contains(tool, \"x\")",
            "1:9: `contains` cannot be called like this, of string, string (it is string.contains(string))",
        ),
        ("tool.matches(\"(\")", "1:14: no regular expression: unclosed group (the syntax is that of RE2)"),
        ("tool.matches(args.p)", "1:18: the pattern of `matches` must be a literal (use contains)"),
        ("tool", "1:1: the whole is a string and not true or false (compare it with something)"),
        ("size && true", "1:1: a condition is true or false, and this is an int (compare it with something)"),
        (
            "http.headers[\"Mcp-Name\"] == \"x\"",
            "1:14: no header is named \"Mcp-Name\": names are in lower case here (write \"mcp-name\")",
        ),
        ("args.exists(x)", "1:12: `exists` is not called like this (write list.exists(x, condition))"),
        (
            "args.l.exists(tool, tool == 1)",
            "1:14: the loop's variable `tool` would hide another `tool` (give it another name)",
        ),
        (
            "args.l.map(x, args.l).size() > 1",
            "1:15: what map() makes of an element reads `args` (it may read its own element alone: use exists() to compare with something else)",
        ),
        (
            "args.l.map(x, [x, x]).size() > 1",
            "1:15: map() builds a list for each element (map to one member: map(x, x.name))",
        ),
        ("b\"x\" == b\"y\"", "1:1: bytes have no place here (write a string: \"…\")"),
        ("type(tool) == string", "1:5: no function `type`"),
        (
            "size + 1.5 > 2.0",
            "1:6: an int and a double cannot be calculated with together (convert one: int(…), double(…))",
        ),
        ("tool == \"é\" &&\n  tol == \"x\"", "2:3: no name `tol` here (did you mean \"tool\"?)"),
        ("tool == \"é😀\" && tol == \"x\"", "1:17: no name `tol` here (did you mean \"tool\"?)"),
    ] {
        let said = said(text);
        assert!(said.starts_with(expected), "{text}\n said     {said}\n expected {expected}");
    }
}
