//! What one version has otherwise than another: by resource, and within a resource by field.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use shadowcat_proto::config::v1 as raw;

use super::ResourceKey;
use super::resource::Resource;

/// A resource that one version has otherwise than another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub key: ResourceKey,
    /// What happened to it.
    pub verb: Verb,
}

/// What happened to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Only the later version has it.
    Added,
    /// Both have it, with other content.
    Changed(Vec<FieldChange>),
    /// Only the earlier version has it.
    Removed,
    /// A route that stands elsewhere among the others: what is equally specific is tried in their order. It may have
    /// changed as well, which is another [`Change`]. Other kinds have no order that means anything.
    Moved,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Within the resource, as in `match.headers[0].value`.
    pub path: String,
    /// As JSON; empty if the field was absent.
    pub before: String,
    /// As JSON; empty if the field is absent.
    pub after: String,
}

/// The changes that lead from one version to another, kind by kind: first what the later one has, in its order, then
/// what it has no more.
#[must_use]
pub fn diff(before: &raw::Config, after: &raw::Config) -> Vec<Change> {
    let mut changes = Vec::new();
    diff_kind::<raw::Route>(before, after, &mut changes);
    add_moves(before, after, &mut changes);
    diff_kind::<raw::Upstream>(before, after, &mut changes);
    diff_kind::<raw::IdentityProvider>(before, after, &mut changes);
    diff_kind::<raw::Policy>(before, after, &mut changes);
    diff_kind::<raw::RateLimit>(before, after, &mut changes);
    diff_kind::<raw::RuleSet>(before, after, &mut changes);
    diff_kind::<raw::Recording>(before, after, &mut changes);
    changes
}

/// A resource by its name, and by which of that name it is: one, in every valid version.
type Nth<'r> = (&'r str, usize);

fn by_name<R: Resource>(resources: &[R]) -> Vec<(Nth<'_>, &R)> {
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(resources.len());
    let nth = |resource| {
        let count = seen.entry(R::name(resource)).or_default();
        *count += 1;
        ((R::name(resource), *count), resource)
    };
    resources.iter().map(nth).collect()
}

fn diff_kind<R: Resource>(before: &raw::Config, after: &raw::Config, changes: &mut Vec<Change>) {
    let before = by_name(R::all(before));
    let after = by_name(R::all(after));
    let known: HashMap<Nth<'_>, &R> = before.iter().copied().collect();
    let kept: HashSet<Nth<'_>> = after.iter().map(|(name, _)| *name).collect();
    for (name, resource) in &after {
        let verb = match known.get(name) {
            None => Verb::Added,
            Some(old) if old != resource => Verb::Changed(fields(*old, *resource)),
            Some(_) => continue,
        };
        changes.push(Change { key: resource.key(), verb });
    }
    for (_, resource) in before.iter().filter(|(name, _)| !kept.contains(name)) {
        changes.push(Change { key: resource.key(), verb: Verb::Removed });
    }
}

/// Adds the fewest routes that, moved, bring the earlier order into the later one.
fn add_moves(before: &raw::Config, after: &raw::Config, changes: &mut Vec<Change>) {
    let before = by_name(&before.routes);
    let places: HashMap<Nth<'_>, usize> = before.iter().enumerate().map(|(place, (name, _))| (*name, place)).collect();
    let after = by_name(&after.routes);
    let common: Vec<(usize, &raw::Route)> =
        after.iter().filter_map(|(name, route)| places.get(name).map(|place| (*place, *route))).collect();
    let order: Vec<usize> = common.iter().map(|(place, _)| *place).collect();
    let stayed = longest_rise(&order);
    for (index, (_, route)) in common.iter().enumerate() {
        if !stayed.contains(&index) {
            changes.push(Change { key: route.key(), verb: Verb::Moved });
        }
    }
}

/// The indices of one longest increasing subsequence of numbers that are all different, by patience sorting.
fn longest_rise(numbers: &[usize]) -> HashSet<usize> {
    // The index of the smallest number that ends a rise of each length, and for each number the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        previous.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(index);
        } else {
            ends[length] = index;
        }
    }
    std::iter::successors(ends.last().copied(), |index| previous[*index]).collect()
}

fn fields<R: Resource>(before: &R, after: &R) -> Vec<FieldChange> {
    // An enum value that the schema does not know has no JSON; no validator lets one through.
    let json = |resource: &R| serde_json::to_value(resource).unwrap_or_default();
    let mut found = Vec::new();
    compare(&json(before), &json(after), String::new(), &mut found);
    found
}

fn compare(before: &Value, after: &Value, path: String, found: &mut Vec<FieldChange>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => {
            let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare_present(before.get(name), after.get(name), path, found);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            // What is equal at both ends is left out, so that one item more is one change.
            let shorter = before.len().min(after.len());
            let equal = |(a, b): &(&Value, &Value)| a == b;
            let start = before.iter().zip(after).take_while(equal).count();
            let end = before.iter().rev().zip(after.iter().rev()).take(shorter - start).take_while(equal).count();
            for index in start..before.len().max(after.len()) - end {
                let (old, new) = (&before[..before.len() - end], &after[..after.len() - end]);
                compare_present(old.get(index), new.get(index), format!("{path}[{index}]"), found);
            }
        }
        _ => found.push(FieldChange { path, before: before.to_string(), after: after.to_string() }),
    }
}

fn compare_present(before: Option<&Value>, after: Option<&Value>, path: String, found: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(before), Some(after)) => compare(before, after, path, found),
        (before, after) => found.push(FieldChange { path, before: print(before), after: print(after) }),
    }
}

fn print(value: Option<&Value>) -> String {
    value.map(Value::to_string).unwrap_or_default()
}
