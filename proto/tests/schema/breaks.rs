//! What of a schema is gone or different in a later one.

use std::collections::BTreeMap;

use super::shape::Element;

/// A sentence for each element of `before` that is not in `now` as it was.
pub(crate) fn breaks(before: &[Element], now: &[Element]) -> Vec<String> {
    let there: BTreeMap<&str, &Element> = now.iter().map(|element| (element.name.as_str(), element)).collect();
    let told = before.iter().filter_map(|was| match there.get(was.name.as_str()) {
        Some(is) => changed(was, is),
        None => Some(gone(was, now)),
    });
    told.collect()
}

/// What `now` has and `before` has not, as it is printed.
pub(crate) fn additions(before: &[Element], now: &[Element]) -> Vec<String> {
    let known = |element: &&Element| before.iter().all(|was| was.name != element.name);
    now.iter().filter(known).map(ToString::to_string).collect()
}

fn changed(was: &Element, is: &Element) -> Option<String> {
    let name = &was.name;
    match (was.numbered(), is.numbered()) {
        _ if was.shape == is.shape => None,
        (Some((before, _)), Some((after, _))) if before != after => {
            Some(format!("{name} was renumbered from {before} to {after}"))
        }
        (Some((_, before)), Some((_, after))) => Some(format!("{name} was `{before}` and is `{after}`")),
        _ => Some(format!("{name} was `{}` and is `{}`", was.shape, is.shape)),
    }
}

/// With its number in the same place under another name, it was renamed: harmless between programs, but not in JSON and YAML.
fn gone(was: &Element, now: &[Element]) -> String {
    let number = was.numbered().map(|(number, _)| number);
    let renamed = now.iter().find(|is| {
        number.is_some() && is.parent() == was.parent() && is.numbered().map(|(number, _)| number) == number
    });
    match renamed {
        Some(is) => format!("{} ({}) was renamed to {}: files and JSON name it", was.name, was.shape, is.name),
        None => format!("{} ({}) was removed", was.name, was.shape),
    }
}
