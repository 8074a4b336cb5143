//! The facts of one evaluation, as cel asks for them: each made into a value when it is first read, and the work counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use cel::common::types::{CelBool, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelString, CelTimestamp};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use chrono::{DateTime, TimeDelta};

use crate::check::Checked;
use crate::facts::{Fact, Facts};
use crate::json::{self, Boxed};
use crate::limits::{BYTES_PER_UNIT, MAX_WORK, NODES_PER_UNIT};
use crate::lowered::{Meaning, meaning};
use crate::names::Name;
use crate::trouble::Trouble;
use crate::types::Type;

/// What cel sees of the facts while it evaluates one expression.
pub(crate) struct Binding<'f> {
    facts: &'f dyn Facts,
    checked: &'f Checked,
    /// One for each name that the expression reads.
    slots: Vec<OnceLock<Slot<'f>>>,
    /// Units of work so far.
    work: AtomicU64,
    /// Bytes of all facts that were read so far: a step of an inner loop may look at each of them.
    bytes: AtomicU64,
    /// The first thing that went wrong here. cel knows it as an unknown name.
    trouble: OnceLock<Trouble>,
}

/// A fact that was asked for.
#[derive(Default)]
struct Slot<'f> {
    /// None where it is absent and nothing stands for that.
    value: Option<Boxed<'f>>,
    presence: Presence,
    bytes: u64,
}

#[derive(Default, PartialEq, Eq)]
enum Presence {
    /// It is known and not empty.
    Given,
    #[default]
    Missing,
}

impl<'f> Slot<'f> {
    /// A fact that takes so many bytes; with none it is empty, and so missing.
    fn given(value: Boxed<'f>, bytes: usize) -> Self {
        let presence = if bytes == 0 { Presence::Missing } else { Presence::Given };
        Self { value: Some(value), presence, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) }
    }
}

static TRUE: OnceLock<CelBool> = OnceLock::new();

impl<'f> Binding<'f> {
    pub(crate) fn new(facts: &'f dyn Facts, checked: &'f Checked) -> Self {
        Self {
            facts,
            checked,
            slots: checked.uses.iter().map(|_| OnceLock::new()).collect(),
            work: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            trouble: OnceLock::new(),
        }
    }

    /// What went wrong with the facts, if anything did.
    pub(crate) fn into_trouble(self) -> Option<Trouble> {
        self.trouble.into_inner()
    }

    fn slot(&self, text: &str) -> Option<&Slot<'f>> {
        let index = self.checked.uses.iter().position(|name| name.text() == text)?;
        let slot = self.slots[index].get_or_init(|| self.ask(self.checked.uses[index]));
        self.spend(1 + slot.bytes / BYTES_PER_UNIT)?;
        Some(slot)
    }

    /// Counts work. None when there was too much.
    fn spend(&self, units: u64) -> Option<()> {
        if self.work.fetch_add(units, Ordering::Relaxed) < MAX_WORK {
            return Some(());
        }
        self.trouble.get_or_init(|| Trouble::TooMuchWork);
        None
    }

    /// Counts a step of a loop, in which as many bytes may be looked at by each node.
    fn step(&self, bytes: u64) -> Option<CowVal<'_, '_>> {
        let nodes = u64::try_from(self.checked.nodes).unwrap_or(u64::MAX);
        self.spend((1 + nodes / NODES_PER_UNIT).saturating_mul(1 + bytes / BYTES_PER_UNIT))?;
        Some(CowVal::Borrowed(TRUE.get_or_init(|| CelBool::from(true))))
    }

    fn ask(&self, name: Name) -> Slot<'f> {
        let slot = match slot(name, self.facts.fact(name)) {
            Ok(slot) => slot,
            Err(trouble) => {
                self.trouble.get_or_init(|| trouble);
                Slot::default()
            }
        };
        self.bytes.fetch_add(slot.bytes, Ordering::Relaxed);
        slot
    }
}

impl VariableResolver for Binding<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match meaning(variable) {
            Meaning::Name(text) => self.slot(text)?.value.as_deref().map(CowVal::Borrowed),
            Meaning::Constant(index) => {
                self.checked.constants.get(index).map(|constant| CowVal::Borrowed(constant.value()))
            }
            Meaning::Has(text) => {
                let given = self.slot(text)?.presence == Presence::Given;
                Some(CowVal::owned(CelBool::from(given)))
            }
            Meaning::Step => self.step(0),
            Meaning::InnerStep => self.step(self.bytes.load(Ordering::Relaxed)),
        }
    }
}

/// A fact as a value of the type that the table says.
fn slot(name: Name, fact: Fact<'_>) -> Result<Slot<'_>, Trouble> {
    let expected = name.row().kind;
    match (expected, fact) {
        (_, Fact::Absent) => Ok(Slot { value: absent(expected), ..Slot::default() }),
        (Type::String, Fact::Text(text)) => {
            let bytes = text.len();
            Ok(Slot::given(Box::new(CelString::from(text)), bytes))
        }
        (Type::Strings, Fact::Texts(texts)) => {
            let bytes = texts.iter().map(|text| text.len().max(1)).sum();
            let texts = texts.into_iter().map(|text| Box::new(CelString::from(text)) as Boxed<'_>);
            Ok(Slot::given(Box::new(CelList::from(texts.collect::<Vec<_>>())), bytes))
        }
        (Type::StringMap, Fact::Fields(fields)) => {
            let bytes = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
            Ok(Slot::given(fields_map(&fields), bytes))
        }
        (Type::Int, Fact::Int(number)) => Ok(Slot::given(Box::new(CelInt::from(number)), size_of::<i64>())),
        (Type::Duration, Fact::Duration(span)) => {
            let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
            Ok(Slot::given(Box::new(CelDuration::from(span)), size_of::<TimeDelta>()))
        }
        (Type::Timestamp, Fact::Time(moment)) => {
            let value = timestamp(moment).map(|moment| Box::new(moment) as Boxed<'_>);
            Ok(value.map_or_else(Slot::default, |value| Slot::given(value, size_of::<SystemTime>())))
        }
        (Type::Map, Fact::Json(text)) => {
            let text = text.get();
            let value = json::object(text).map_err(|error| Trouble::Json { name, reason: error.to_string() })?;
            let is_empty = value.as_sizer().is_none_or(|map| *map.size().inner() == 0);
            Ok(Slot::given(value, if is_empty { 0 } else { text.len() }))
        }
        _ => Err(Trouble::WrongFact { name, expected }),
    }
}

/// What stands for an absent value.
fn absent<'f>(kind: Type) -> Option<Boxed<'f>> {
    match kind {
        Type::String => Some(Box::new(CelString::from(""))),
        Type::Strings => Some(Box::new(CelList::from(Vec::new()))),
        Type::Map | Type::StringMap => Some(Box::new(CelMap::default())),
        _ => None,
    }
}

fn fields_map<'f>(fields: &[(&'f str, &'f str)]) -> Boxed<'f> {
    let mut joined: HashMap<&str, std::borrow::Cow<'f, str>> = HashMap::with_capacity(fields.len());
    for (name, value) in fields {
        match joined.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert((*value).into());
            }
            Entry::Occupied(mut entry) => {
                let values = entry.get_mut().to_mut();
                values.push_str(", ");
                values.push_str(value);
            }
        }
    }
    let map: HashMap<CelMapKey<'f>, Boxed<'f>> = joined
        .into_iter()
        .map(|(name, value)| {
            let value: Boxed<'f> = Box::new(CelString::from(value));
            (CelMapKey::String(CelString::from(name)), value)
        })
        .collect();
    Box::new(CelMap::from(map))
}

/// A moment, if it is of the years 1 to 9999.
fn timestamp(moment: SystemTime) -> Option<CelTimestamp> {
    let since = match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => TimeDelta::from_std(after).ok()?,
        Err(before) => TimeDelta::from_std(before.duration()).ok()?.checked_mul(-1)?,
    };
    let moment = DateTime::UNIX_EPOCH.checked_add_signed(since)?;
    (1..=9999).contains(&chrono::Datelike::year(&moment)).then(|| moment.fixed_offset().into())
}
