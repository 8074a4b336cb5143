//! What the design of the configuration has and this version does not act on. A person who writes it learns that at
//! once, by name.
//!
//! The schema holds only what is acted on, so raw messages cannot carry any of it; only a file can. A row leaves this
//! table when its field enters the schema.

use super::document::{Content, Entry, Node};
use crate::{Diagnostic, Step};

/// Where it is written (`[]` = every item, `=` = this value), and what it is.
const TABLE: [(&str, &str); 21] = [
    ("node.spool", "recording traffic to a spool"),
    ("routes[].targets[].prefix", "name prefixes of federated targets"),
    ("routes[].targets[].tools", "selecting and renaming tools"),
    ("routes[].authentication", "authentication"),
    ("routes[].policies", "policies"),
    ("routes[].rate_limits", "rate limits"),
    ("routes[].rule_sets", "interception rules"),
    ("routes[].recording", "recording"),
    ("upstreams[].http.endpoints[].weight", "weights of endpoints"),
    ("upstreams[].stdio.sharing=PER_PRINCIPAL", "one child per principal"),
    ("upstreams[].stdio.memory_limit", "memory limits of children"),
    ("upstreams[].load_balancing", "load balancing"),
    ("upstreams[].health_check", "health checks of upstreams"),
    ("upstreams[].circuit_breaker", "circuit breakers"),
    ("upstreams[].retry", "retries"),
    ("upstreams[].limits", "limits on calls in flight"),
    ("identity_providers", "identity providers"),
    ("policies", "policies"),
    ("rate_limits", "rate limits"),
    ("rule_sets", "interception rules"),
    ("recordings", "recording"),
];

/// Several targets behind one route: the schema holds them, so the validator tells of them.
pub(crate) const FEDERATION: &str = "several targets of one route";

/// Several endpoints of one upstream: the schema holds them, so the validator tells of them.
pub(crate) const SEVERAL_ENDPOINTS: &str = "several endpoints of one upstream";

/// The sentence for every refusal of this kind.
pub(crate) fn message(what: &str) -> String {
    format!("this version does not act on {what} yet")
}

/// The cure for every refusal of this kind.
pub(crate) const HINT: &str = "remove it: what would be ignored is refused";

/// Takes out of the document whatever the table names, one diagnostic each.
pub(crate) fn take(document: &mut Node, found: &mut Vec<Diagnostic>) {
    for (place, what) in TABLE {
        let place: Vec<&str> = place.split('.').collect();
        take_at(document, &place, what, &mut Vec::new(), found);
    }
}

fn take_at(node: &mut Node, place: &[&str], what: &str, path: &mut Vec<Step>, found: &mut Vec<Diagnostic>) {
    let (Content::Map(entries), Some((first, rest))) = (&mut node.content, place.split_first()) else {
        return;
    };
    let (field, value) = first.split_once('=').map_or((*first, None), |(field, value)| (field, Some(value)));
    let (field, every_item) = field.strip_suffix("[]").map_or((field, false), |field| (field, true));
    let Some(index) = entries.iter().position(|entry| entry.key == field) else {
        return;
    };
    path.push(Step::Field(field.to_owned().into()));
    if rest.is_empty() {
        if value.is_none_or(|value| is_text(&entries[index].value, value)) {
            let Entry { key_position, .. } = entries.remove(index);
            found.push(Diagnostic::new(path.clone().into(), message(what)).at(key_position).hint(HINT));
        }
    } else if !every_item {
        take_at(&mut entries[index].value, rest, what, path, found);
    } else if let Content::List(items) = &mut entries[index].value.content {
        for (index, item) in items.iter_mut().enumerate() {
            path.push(Step::Item(index));
            take_at(item, rest, what, path, found);
            path.pop();
        }
    }
    path.pop();
}

fn is_text(node: &Node, value: &str) -> bool {
    matches!(&node.content, Content::Text(text) if text == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest document that has something at `place`.
    fn document_with(place: &str) -> String {
        place.rsplit('.').fold("{}".to_owned(), |inner, step| match (step.split_once('='), step.strip_suffix("[]")) {
            (Some((field, value)), _) => format!("{{ {field}: {value} }}"),
            (None, Some(list)) => format!("{{ {list}: [{inner}] }}"),
            (None, None) => format!("{{ {step}: {inner} }}"),
        })
    }

    #[test]
    fn everything_in_the_table_is_refused_by_name() {
        for (place, what) in TABLE {
            let text = document_with(place);
            let told = crate::parse_local_in(&text, "", &|_| None).expect_err(place).to_string();
            let field = place.rsplit('.').next().and_then(|step| step.split('=').next()).expect("a field");
            assert!(told.contains(&format!("{field}: {} ({HINT})", message(what))), "{text}: {told}");
        }
    }
}
