//! JSON text as CEL values. Integers stay integers; strings without escapes are borrowed from the text.
//!
//! A member that comes twice is refused: readers differ in which of the two counts, so nobody can say what the receiver
//! took. Depth is `serde_json`'s limit of 128.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::limits::MAX_JSON_VALUES;

/// A value that may borrow from the text it was read from.
pub(crate) type Boxed<'v> = Box<dyn Val + 'v>;

/// Reads an object, or `null` as an empty one. The error quotes nothing of the text.
pub(crate) fn object(text: &str) -> Result<Boxed<'_>, serde_json::Error> {
    let left = Cell::new(MAX_JSON_VALUES);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Value { left: &left }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Box::new(CelMap::default()));
    }
    match value.downcast_ref::<CelMap<'_>>() {
        Some(_) => Ok(value),
        None => Err(Error::custom("not an object")),
    }
}

/// Reads one value, and counts it.
#[derive(Clone, Copy)]
struct Value<'c> {
    left: &'c Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Boxed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Boxed<'de>, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(Error::custom(format_args!("more than {MAX_JSON_VALUES} values")));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Boxed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Boxed<'de>, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Boxed<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            list.push(element);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Boxed<'de>, A::Error> {
        let mut map: HashMap<CelMapKey<'de>, Boxed<'de>> = HashMap::new();
        while let Some(key) = members.next_key_seed(Key)? {
            match map.entry(key) {
                Entry::Vacant(entry) => entry.insert(members.next_value_seed(self)?),
                Entry::Occupied(_) => return Err(Error::custom("a member comes twice")),
            };
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

/// Reads a member's name.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = CelMapKey<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<CelMapKey<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = CelMapKey<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<CelMapKey<'de>, E> {
        Ok(CelMapKey::String(CelString::from(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<CelMapKey<'de>, E> {
        Ok(CelMapKey::String(CelString::from(name.to_owned())))
    }
}
