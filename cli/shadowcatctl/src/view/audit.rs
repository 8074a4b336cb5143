//! The record of who changed what.

use shadowcat_proto::admin::v1::ListAuditResponse;
use shadowcat_proto::admin::v1::audit_record::Outcome;

use crate::output::{Cell, Page, Table, Tone, View, age, each};

impl View for ListAuditResponse {
    fn text(&self, page: &Page) -> String {
        let headings = ["RECORD", "AGE", "ACTOR", "ADDRESS", "VERB", "RESOURCE", "OUTCOME", "REASON"];
        let mut table = Table::new(&headings, "no records");
        for record in &self.records {
            let outcome = match record.outcome() {
                Outcome::Done => Cell::toned(Tone::Good, "done"),
                Outcome::Denied => Cell::toned(Tone::Bad, "denied"),
                Outcome::Unknown => Cell::toned(Tone::Warning, "unknown"),
            };
            table.row([
                record.sequence.into(),
                age(record.at.as_ref(), page.now).into(),
                Cell::from(&record.actor),
                Cell::from(&record.address),
                Cell::from(&record.verb),
                Cell::from(&record.resource),
                outcome,
                Cell::from(&record.reason),
            ]);
        }
        let more = match self.next_before {
            0 => String::new(),
            before => format!("older ones: --before {before}\n"),
        };
        table.render(page.paint) + &more
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.records)
    }
}
