//! What one version has otherwise than another.

use shadowcat_proto::admin::v1::change::Verb;
use shadowcat_proto::admin::v1::{ApplyResponse, Change, DiffResponse, FieldChange, PlanResponse};

use super::versions::{number, sentence};
use crate::output::{Page, Paint, Tone, View, clean, count, each};

/// Characters of a field's value that are shown: what a line has room for beside its path and the other value.
const SHOWN_VALUE_CHARACTERS: usize = 120;

impl View for DiffResponse {
    fn text(&self, page: &Page) -> String {
        if self.changes.is_empty() {
            return "the versions are equal\n".to_owned();
        }
        changes(&self.changes, page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.changes)
    }
}

impl View for PlanResponse {
    fn text(&self, page: &Page) -> String {
        match (&self.current, self.changes.is_empty()) {
            (Some(current), true) => format!("nothing would change against {}\n", sentence(current, page)),
            (Some(current), false) => {
                format!("against {}:\n{}", sentence(current, page), changes(&self.changes, page.paint))
            }
            (None, _) => format!("as the first version:\n{}", changes(&self.changes, page.paint)),
        }
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.changes)
    }
}

impl View for ApplyResponse {
    fn text(&self, page: &Page) -> String {
        let current = number(self.version.as_ref());
        if !self.changed {
            return format!("nothing changed: version {current} is this configuration already\n");
        }
        let hear = count(self.nodes.into(), "node");
        format!("{}version {current} is committed, for {hear}\n", changes(&self.changes, page.paint))
    }
}

/// Changes with a sum, as lines.
fn changes(changes: &[Change], paint: Paint) -> String {
    let lines: String = changes.iter().map(|one| change(one, paint)).collect();
    let counted =
        [(Verb::Added, "added"), (Verb::Changed, "changed"), (Verb::Removed, "removed"), (Verb::Moved, "moved")];
    let sums: Vec<String> = counted
        .iter()
        .map(|(verb, name)| (changes.iter().filter(|change| change.verb() == *verb).count(), name))
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| format!("{number} {name}"))
        .collect();
    let sum = if sums.is_empty() { "no resource differs".to_owned() } else { sums.join(", ") };
    format!("{lines}{sum}\n")
}

fn change(change: &Change, paint: Paint) -> String {
    let (sign, tone, note) = match change.verb() {
        Verb::Added => ("+", Tone::Good, ""),
        Verb::Changed => ("~", Tone::Warning, ""),
        Verb::Removed => ("-", Tone::Bad, ""),
        Verb::Moved => (">", Tone::Warning, " (moved in the order)"),
        Verb::Unknown => ("?", Tone::Warning, " (in a way this program does not know)"),
    };
    let head = paint.apply(tone, &format!("{sign} {} {}", clean(&change.kind), clean(&change.name)));
    let fields: String = change.fields.iter().map(field).collect();
    format!("{head}{note}\n{fields}")
}

fn field(field: &FieldChange) -> String {
    let path = clean(&field.path);
    match (field.before.is_empty(), field.after.is_empty()) {
        (true, _) => format!("    {path}: {}\n", value(&field.after)),
        (false, true) => format!("    {path}: {} is gone\n", value(&field.before)),
        (false, false) => format!("    {path}: {} -> {}\n", value(&field.before), value(&field.after)),
    }
}

/// A value of any length in one line.
fn value(json: &str) -> String {
    let text = clean(json);
    match text.char_indices().nth(SHOWN_VALUE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
