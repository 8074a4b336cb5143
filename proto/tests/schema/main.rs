//! No change of the schema breaks those who speak it: nodes and control planes of different builds talk to each other, and files and
//! stored versions are older than the program that reads them.
//!
//! `schema.golden.txt` has a line for each field, enum value and call. What is in it may not go, nor get another number or type; what is
//! new joins it by `UPDATE_GOLDEN=1 cargo test -p shadowcat-proto`. A break that is wanted all the same (of what no release had) is made
//! by taking its line out by hand, where a reviewer sees it.

mod breaks;
mod shape;

use std::fs;
use std::path::Path;

use breaks::{additions, breaks};
use shape::{Element, elements, parse, print};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.golden.txt");

#[test]
fn nothing_that_others_speak_is_removed_renumbered_or_retyped() {
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    let (known, now) = (parse(&golden), elements(shadowcat_proto::DESCRIPTORS));
    let broken = breaks(&known, &now);
    assert!(
        broken.is_empty(),
        "the schema breaks those who speak it:\n{}\nput it back and add something new beside it, or, if nobody can have it yet, take its \
         line out of {GOLDEN}",
        broken.join("\n")
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(Path::new(GOLDEN), print(&now)).expect("written");
        return;
    }
    let added = additions(&known, &now);
    assert!(
        golden == print(&now),
        "the schema has more, or in another order, than {GOLDEN}:\n{}\nrun UPDATE_GOLDEN=1 cargo test -p shadowcat-proto",
        added.join("\n")
    );
}

#[test]
fn every_break_is_told_in_a_sentence() {
    let before = "a.M.gone = 1 string\na.M.old = 2 string\na.M.moved = 3 bool\na.M.grown = 4 uint32\na.M.many = 5 string\n\
                  a.E.OFF = 1\na.S.Call (a.Q) returns (a.A)\na.S.Ask (a.Q) returns (a.A)\n";
    let now = "a.M.new = 2 string\na.M.moved = 6 bool\na.M.grown = 4 uint64\na.M.many = 5 repeated string\n\
               a.E.OFF = 2\na.S.Call (a.Q) returns (stream a.A)\n";
    assert_eq!(
        breaks(&parse(before), &parse(now)),
        [
            "a.M.gone (= 1 string) was removed",
            "a.M.old (= 2 string) was renamed to a.M.new: files and JSON name it",
            "a.M.moved was renumbered from 3 to 6",
            "a.M.grown was `uint32` and is `uint64`",
            "a.M.many was `string` and is `repeated string`",
            "a.E.OFF was renumbered from 1 to 2",
            "a.S.Call was `(a.Q) returns (a.A)` and is `(a.Q) returns (stream a.A)`",
            "a.S.Ask ((a.Q) returns (a.A)) was removed",
        ]
    );
}

#[test]
fn what_is_new_breaks_nothing() {
    let (before, now) = ("a.M.f = 1 string\n", "a.M.g = 2 string\na.M.f = 1 string\na.N.f = 1 string\n");
    assert!(breaks(&parse(before), &parse(now)).is_empty());
    assert_eq!(additions(&parse(before), &parse(now)), ["a.M.g = 2 string", "a.N.f = 1 string"]);
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let now: Vec<Element> = elements(shadowcat_proto::DESCRIPTORS);
    assert!(now.len() > 100, "only {} elements: the descriptors are not read", now.len());
    assert_eq!(parse(&print(&now)), now);
}
