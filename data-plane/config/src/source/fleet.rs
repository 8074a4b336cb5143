//! The configuration of a fleet from files: what `apply -f` reads.
//!
//! Several files, each of several documents, make one configuration: what they say of one kind is put together in the
//! order of the files. Mistakes of all files are told at once; only where a file does not fit the schema is the meaning
//! of the whole not judged, since half of it would be missing. Paths are those of the whole, and [`FleetSource`]
//! knows the file, line and column of each.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use shadowcat_proto::config::v1 as raw;

use super::deserialize::fill;
use super::document::{self, Content, Document, Node, Reading};
use super::{Environment, extend_untold};
use crate::diagnostics::ToldAt;
use crate::limits::{MAX_FILE_BYTES, MAX_FILES};
use crate::{Diagnostic, Diagnostics, FieldPath, Position, Step, validate};

/// The configuration of a fleet, and where everything in it was written. The validator had nothing to say.
#[derive(Debug)]
pub struct FleetSource {
    config: raw::Config,
    documents: Documents,
}

impl FleetSource {
    /// The whole.
    #[must_use]
    pub fn config(&self) -> &raw::Config {
        &self.config
    }

    /// The whole, for whoever sends it.
    #[must_use]
    pub fn into_config(self) -> raw::Config {
        self.config
    }

    /// The file and the place in it of what a path of the whole leads to, or of its nearest ancestor that exists.
    /// `None` if it is no path, or leads into a kind that no file has.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<(&str, Position)> {
        let (part, position) = self.documents.find(&path.parse().ok()?, ToldAt::Value)?;
        Some((&part.origin, position))
    }
}

/// Reads a fleet's configuration from YAML or JSON texts, each with what it is called, with `${NAME}` replaced from the
/// environment of this process.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_fleet(files: &[(String, String)]) -> Result<FleetSource, Diagnostics> {
    parse_fleet_in(files, &|name| std::env::var(name).ok())
}

/// [`parse_fleet`] with an environment of the caller's choice.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_fleet_in(files: &[(String, String)], environment: Environment<'_>) -> Result<FleetSource, Diagnostics> {
    let (documents, config, mut found) = read(files, environment)?;
    // What does not fit the schema is not judged further: a part of the whole is missing.
    if let Some(config) = &config
        && let Err(more) = validate::version(config)
    {
        extend_untold(&mut found, more.into_iter().map(|mistake| documents.place(mistake)).collect());
    }
    match config {
        Some(config) if found.is_empty() => Ok(FleetSource { config, documents }),
        _ => Err(documents.told(found)),
    }
}

/// The documents, the whole that they make unless one of them does not fit the schema, and what is wrong so far.
type Read = (Documents, Option<raw::Config>, Vec<Diagnostic>);

/// Reads without judging what the values mean.
fn read(files: &[(String, String)], environment: Environment<'_>) -> Result<Read, Diagnostics> {
    within_limits(files)?;
    let mut documents = Documents::default();
    let mut found = Vec::new();
    let mut whole = Some(raw::Config::default());
    let mut reading = Reading::new(environment);
    for (origin, text) in files {
        let origin: Arc<str> = Arc::from(origin.as_str());
        let (read, unreadable) = document::read_all(text, &mut reading);
        for Document { root, found: of_variables } in read {
            found.extend(of_variables.into_iter().map(|mistake| documents.of_the_next(mistake, &origin)));
            match documents.add(root, &origin, &mut found) {
                Some(part) => {
                    if let Some(whole) = &mut whole {
                        join(whole, part);
                    }
                }
                None => whole = None,
            }
        }
        if !unreadable.is_empty() {
            whole = None;
        }
        found.extend(unreadable.into_iter().map(|mistake| documents.of_the_next(mistake, &origin)));
        documents.origins.push(origin);
    }
    Ok((documents, whole, found))
}

fn within_limits(files: &[(String, String)]) -> Result<(), Diagnostics> {
    let refused = |message: String| Err(Diagnostics::as_told(vec![Diagnostic::new(FieldPath::default(), message)]));
    if files.is_empty() {
        return refused("there is no file to read".to_owned());
    }
    if files.len() > MAX_FILES {
        return refused(format!("{} files are too many: at most {MAX_FILES}", files.len()));
    }
    let bytes: u64 = files.iter().map(|(_, text)| text.len() as u64).sum();
    if files.len() > 1 && bytes > MAX_FILE_BYTES {
        return refused(format!("the files are together longer than {MAX_FILE_BYTES} bytes"));
    }
    Ok(())
}

/// Puts a part's resources after those of the same kind.
fn join(whole: &mut raw::Config, part: raw::Config) {
    let raw::Config { routes, upstreams, identity_providers, policies, rate_limits, rule_sets, recordings } = part;
    whole.routes.extend(routes);
    whole.upstreams.extend(upstreams);
    whole.identity_providers.extend(identity_providers);
    whole.policies.extend(policies);
    whole.rate_limits.extend(rate_limits);
    whole.rule_sets.extend(rule_sets);
    whole.recordings.extend(recordings);
}

/// Every document, and where its resources are in the whole.
#[derive(Debug, Default)]
struct Documents {
    origins: Vec<Arc<str>>,
    parts: Vec<Part>,
    /// How many resources of each kind there are so far.
    counts: HashMap<String, usize>,
}

#[derive(Debug)]
struct Part {
    origin: Arc<str>,
    root: Node,
    /// For each kind that is here: the index in the whole of the first, and how many there are.
    kinds: HashMap<String, (usize, usize)>,
}

impl Documents {
    /// Takes a document in, and fills a message from it; `None` if it does not fit the schema.
    fn add(&mut self, mut root: Node, origin: &Arc<str>, found: &mut Vec<Diagnostic>) -> Option<raw::Config> {
        if let Some(refused) = take_node(&mut root) {
            found.push(self.of_the_next(refused, origin));
        }
        let part = fill(&mut root).map_err(|misfits| {
            found.extend(misfits.into_iter().map(|misfit| self.of_the_next(misfit, origin)));
        });
        let mut kinds = HashMap::new();
        if let Content::Map(entries) = &root.content {
            for entry in entries {
                let Content::List(items) = &entry.value.content else { continue };
                let count = self.counts.entry(entry.key.clone()).or_default();
                kinds.insert(entry.key.clone(), (*count, items.len()));
                *count += items.len();
            }
        }
        self.parts.push(Part { origin: origin.clone(), root, kinds });
        part.ok()
    }

    /// A mistake told of the document that comes next, as one of the whole.
    fn of_the_next(&self, mistake: Diagnostic, origin: &Arc<str>) -> Diagnostic {
        let path = shifted(&mistake.path, |kind, index| Some(index + self.counts.get(kind).copied().unwrap_or(0)));
        Diagnostic { path: path.unwrap_or_default(), origin: Some(origin.clone()), ..mistake }
    }

    /// Where a path of the whole leads.
    fn find(&self, path: &FieldPath, told_at: ToldAt) -> Option<(&Part, Position)> {
        self.parts.iter().find_map(|part| {
            if let Some(Step::Field(kind)) = path.steps().first()
                && part.root.child(&Step::Field(kind.clone())).is_none()
            {
                return None;
            }
            let local = shifted(path, |kind, index| {
                let (first, count) = part.kinds.get(kind)?;
                index.checked_sub(*first).filter(|index| index < count)
            })?;
            Some((part, part.root.position_told(&local, told_at)))
        })
    }

    /// Gives a mistake of the whole its file and its place there.
    fn place(&self, mistake: Diagnostic) -> Diagnostic {
        match self.find(&mistake.path, mistake.told_at) {
            Some((part, position)) => Diagnostic { origin: Some(part.origin.clone()), ..mistake }.at(position),
            None => mistake,
        }
    }

    /// The mistakes in the order of the files.
    fn told(&self, mut found: Vec<Diagnostic>) -> Diagnostics {
        let order: HashMap<&str, usize> = self.origins.iter().enumerate().map(|(at, origin)| (&**origin, at)).collect();
        found.sort_by_key(|one| (one.origin.as_deref().and_then(|origin| order.get(origin)), one.position));
        Diagnostics::as_told(found)
    }
}

/// A path whose resource has another index; `None` if it has none.
fn shifted(path: &FieldPath, index: impl Fn(&str, usize) -> Option<usize>) -> Option<FieldPath> {
    let mut steps = path.steps().to_vec();
    if let [Step::Field(kind), Step::Item(at), ..] = steps.as_mut_slice() {
        *at = index(kind, *at)?;
    }
    Some(steps.into())
}

/// Takes out the settings of one machine, which no version has, and says so.
fn take_node(root: &mut Node) -> Option<Diagnostic> {
    let Content::Map(entries) = &mut root.content else {
        return None;
    };
    let index = entries.iter().position(|entry| entry.key == "node")?;
    let entry = entries.remove(index);
    let path = FieldPath::from(vec![Step::Field("node".into())]);
    let message = "the settings of one machine are not part of a fleet's configuration";
    let hint = "remove them: flags, SHADOWCAT_* variables or a local file of that machine say them";
    Some(Diagnostic::new(path, message).at(entry.key_position).hint(hint))
}
