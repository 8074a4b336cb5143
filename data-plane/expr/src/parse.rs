//! The parser, and what it says in words for people.

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::{ParseError, Parser};

use crate::mistake::Mistake;

/// A quoted piece of a mistake is cut to this many characters: the place says the rest.
const MAX_QUOTED_CHARACTERS: usize = 40;

/// Words of other languages for what is an operator here.
const WORDS: &[(&str, &str)] = &[("and", "&&"), ("or", "||"), ("not", "!"), ("is", "=="), ("like", "matches(…)")];

/// Parses a text that [`scan`](crate::scan::scan) let through.
pub(crate) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), Mistake> {
    Parser::default().parse_with_source_info(text).map_err(|errors| match errors.errors.first() {
        Some(error) => mistake(text, error),
        None => Mistake::at(text, 0, "this is no expression"),
    })
}

fn mistake(text: &str, error: &ParseError) -> Mistake {
    let place = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    let (line, column) = (place(error.pos.0), place(error.pos.1));
    let told = |what: String| Mistake { line, column, what, hint: None };
    if text.trim().is_empty() {
        return told("there is nothing to evaluate".to_owned()).hint("as in tool == \"search\"");
    }
    let said = error.msg.trim_start_matches("Syntax error: ");
    if said.contains("Recursion limit") {
        return told("the expression nests too deeply".to_owned()).hint("join conditions with &&");
    }
    if said.contains("'<EOF>' expecting") {
        return told("the expression ends too early".to_owned());
    }
    match quoted(said) {
        Some(piece) => {
            let word = WORDS.iter().find(|(word, _)| piece.trim().eq_ignore_ascii_case(word));
            let hint = word.map(|(_, operator)| format!("write {operator}"));
            let cut: String = piece.chars().take(MAX_QUOTED_CHARACTERS).collect();
            told(format!("`{cut}` is not expected here")).hint_if(hint)
        }
        None => told(said.chars().take(MAX_QUOTED_CHARACTERS).collect()),
    }
}

/// The piece of the text that the parser names: `extraneous input 'b' expecting …`.
fn quoted(said: &str) -> Option<&str> {
    let named = ["extraneous input '", "mismatched input '", "at input '", "error at: '"]
        .iter()
        .find_map(|before| said.split_once(before))?
        .1;
    Some(named.split_once("' expecting").map_or(named.trim_end_matches('\''), |(piece, _)| piece))
}
