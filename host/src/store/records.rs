//! What the state file holds under the name of each plugin: a line of text, read when somebody asks for it, and written
//! back as it was when nobody changed it. Of a thousand plugins a command reads those that it is about.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use memchr::memmem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::ids::PluginName;

/// The content of a state file whose checksum was compared, and where it was read.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) path: PathBuf,
}

/// Records by the names of plugins. One that cannot be read is an error for whoever asks for it, and is never left out.
#[derive(Debug, Clone)]
pub struct Records<T> {
    slots: BTreeMap<PluginName, Slot<T>>,
    /// What stood in the file and was changed or removed since.
    replaced: Vec<(PluginName, Line)>,
}

/// Some of the records, with the names of their plugins and in the order of these.
pub type Chosen<'a, T> = std::vec::IntoIter<(&'a PluginName, &'a T)>;

#[derive(Debug, Clone)]
enum Slot<T> {
    /// As it was read; the value only once somebody asked for it.
    Read(Line, OnceLock<Box<T>>),
    /// As it was made or changed since.
    Made(Box<T>),
}

/// The text of one record.
#[derive(Debug, Clone)]
struct Line {
    text: Arc<Text>,
    at: Range<usize>,
}

impl Line {
    fn bytes(&self) -> &[u8] {
        self.text.bytes.get(self.at.clone()).unwrap_or_default()
    }

    fn read<T: DeserializeOwned>(&self, name: &PluginName) -> Result<T, StoreError> {
        serde_json::from_slice(self.bytes()).map_err(|error| self.damaged(name, &error.to_string()))
    }

    fn damaged(&self, name: &PluginName, why: &str) -> StoreError {
        StoreError::Corrupt { path: self.text.path.clone(), why: format!("what it holds of {name}: {why}") }
    }
}

impl<T: DeserializeOwned> Slot<T> {
    fn get(&self, name: &PluginName) -> Result<&T, StoreError> {
        match self {
            Self::Made(value) => Ok(value),
            Self::Read(line, value) => match value.get() {
                Some(value) => Ok(value),
                None => {
                    let read = Box::new(line.read(name)?);
                    Ok(value.get_or_init(|| read))
                }
            },
        }
    }

    fn into_value(self, name: &PluginName) -> Result<T, StoreError> {
        match self {
            Self::Made(value) => Ok(*value),
            Self::Read(line, value) => value.into_inner().map_or_else(|| line.read(name), |value| Ok(*value)),
        }
    }
}

impl<T> Records<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The names, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &PluginName> {
        self.slots.keys()
    }

    /// Whether there is a record of this name.
    #[must_use]
    pub fn contains_key(&self, name: &PluginName) -> bool {
        self.slots.contains_key(name)
    }

    /// Puts a record in the place of the one of this name, if there is one.
    pub fn insert(&mut self, name: PluginName, value: T) {
        let before = self.slots.insert(name.clone(), Slot::Made(Box::new(value)));
        self.note(name, before.as_ref());
    }

    /// Removes every record.
    pub fn clear(&mut self) {
        for (name, slot) in std::mem::take(&mut self.slots) {
            self.note(name, Some(&slot));
        }
    }

    /// The same, each to be read as another type; what was read already is read again.
    pub(super) fn recast<U: From<T>>(self) -> Records<U> {
        let recast = |slot| match slot {
            Slot::Read(line, _) => Slot::Read(line, OnceLock::new()),
            Slot::Made(value) => Slot::Made(Box::new(U::from(*value))),
        };
        let slots = self.slots.into_iter().map(|(name, slot)| (name, recast(slot))).collect();
        Records { slots, replaced: self.replaced }
    }

    fn note(&mut self, name: PluginName, before: Option<&Slot<T>>) {
        if let Some(Slot::Read(line, _)) = before {
            self.replaced.push((name, line.clone()));
        }
    }
}

impl<T: DeserializeOwned> Records<T> {
    /// The record of a plugin.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn get(&self, name: &PluginName) -> Result<Option<&T>, StoreError> {
        self.slots.get(name).map(|slot| slot.get(name)).transpose()
    }

    /// The record of a plugin, to be changed.
    ///
    /// # Errors
    /// As [`Records::get`].
    pub fn get_mut(&mut self, name: &PluginName) -> Result<Option<&mut T>, StoreError> {
        let Some(slot) = self.slots.get_mut(name) else { return Ok(None) };
        made(name, slot, &mut self.replaced).map(Some)
    }

    /// The record of a plugin, to be changed; the default one where there is none.
    ///
    /// # Errors
    /// As [`Records::get`].
    pub fn get_or_default(&mut self, name: &PluginName) -> Result<&mut T, StoreError>
    where
        T: Default,
    {
        let Self { slots, replaced } = self;
        let slot = slots.entry(name.clone()).or_insert_with(|| Slot::Made(Box::default()));
        made(name, slot, replaced)
    }

    /// Takes a record out.
    ///
    /// # Errors
    /// As [`Records::get`]; it is still there then.
    pub fn remove(&mut self, name: &PluginName) -> Result<Option<T>, StoreError> {
        self.get(name)?;
        let Some(slot) = self.slots.remove(name) else { return Ok(None) };
        self.note(name.clone(), Some(&slot));
        slot.into_value(name).map(Some)
    }

    /// All of them, in the order of names.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn iter(&self) -> Result<Chosen<'_, T>, StoreError> {
        self.those(|_| true)
    }

    /// All of them, to be changed.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn iter_mut(&mut self) -> Result<impl Iterator<Item = (&PluginName, &mut T)>, StoreError> {
        let Self { slots, replaced } = self;
        let all = slots.iter_mut().map(|(name, slot)| Ok((name, made(name, slot, replaced)?)));
        Ok(all.collect::<Result<Vec<_>, StoreError>>()?.into_iter())
    }

    /// Those in which a key or a text may hold this word of ASCII letters and digits: all that do, and possibly more.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn mentioning(&self, word: &str) -> Result<Chosen<'_, T>, StoreError> {
        let (word, escape) = (memmem::Finder::new(word), memmem::Finder::new(r"\u"));
        // JSON writes a letter as it is, or as an escape.
        self.those(|line| word.find(line).is_some() || escape.find(line).is_some())
    }

    /// Those whose text may hold what is wanted, and those that have no text yet.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn those(&self, may: impl Fn(&[u8]) -> bool) -> Result<Chosen<'_, T>, StoreError> {
        let wanted = self.slots.iter().filter(|(_, slot)| match slot {
            Slot::Made(_) => true,
            Slot::Read(line, _) => may(line.bytes()),
        });
        let read = wanted.map(|(name, slot)| Ok((name, slot.get(name)?)));
        Ok(read.collect::<Result<Vec<_>, StoreError>>()?.into_iter())
    }

    /// The names of those whose text, as it was read, may hold what is wanted.
    pub(super) fn named(&self, may: impl Fn(&[u8]) -> bool) -> Vec<PluginName> {
        let may = |slot: &Slot<T>| matches!(slot, Slot::Read(line, _) if may(line.bytes()));
        self.slots.iter().filter(|(_, slot)| may(slot)).map(|(name, _)| name.clone()).collect()
    }

    /// Those that were changed or added since the file was read.
    pub(super) fn made(&self) -> impl Iterator<Item = &T> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Made(value) => Some(&**value),
            Slot::Read(..) => None,
        })
    }

    /// Those of the file that were changed or removed since, as they were.
    ///
    /// # Errors
    /// One cannot be read.
    pub(super) fn replaced(&self) -> Result<Vec<T>, StoreError> {
        self.replaced.iter().map(|(name, line)| line.read(name)).collect()
    }
}

fn made<'a, T: DeserializeOwned>(
    name: &PluginName,
    slot: &'a mut Slot<T>,
    replaced: &mut Vec<(PluginName, Line)>,
) -> Result<&'a mut T, StoreError> {
    if let Slot::Read(line, value) = slot {
        let value = value.take().map_or_else(|| line.read(name).map(Box::new), Ok)?;
        replaced.push((name.clone(), line.clone()));
        *slot = Slot::Made(value);
    }
    match slot {
        Slot::Made(value) => Ok(value),
        Slot::Read(line, _) => Err(line.damaged(name, "it was not taken over")),
    }
}

impl<T: Serialize> Records<T> {
    /// All of them, of each only what a smaller type takes of it.
    ///
    /// # Errors
    /// One cannot be read as that.
    pub fn views<V: DeserializeOwned>(&self) -> Result<Vec<(&PluginName, V)>, StoreError> {
        let view = |name: &PluginName, slot: &Slot<T>| match slot {
            Slot::Read(line, _) => line.read(name),
            Slot::Made(value) => {
                let value = serde_json::to_vec(&**value).and_then(|text| serde_json::from_slice(&text));
                let why = |error: serde_json::Error| format!("what it holds of {name}: {error}");
                value.map_err(|error| StoreError::Corrupt { path: PathBuf::new(), why: why(error) })
            }
        };
        self.slots.iter().map(|(name, slot)| Ok((name, view(name, slot)?))).collect()
    }

    /// Writes them as the members of a JSON object, each on a line of its own.
    pub(super) fn write(&self, text: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        text.push(b'{');
        let mut separator = "";
        for (name, slot) in &self.slots {
            text.extend_from_slice(separator.as_bytes());
            text.extend_from_slice(b"\n\"");
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b"\":");
            match slot {
                Slot::Read(line, _) => text.extend_from_slice(line.bytes()),
                Slot::Made(value) => serde_json::to_writer(&mut *text, value)?,
            }
            separator = ",";
        }
        text.extend_from_slice(b"\n}");
        Ok(())
    }
}

impl<T> Records<T> {
    /// Reads what [`Records::write`] wrote from an offset on, and gives the offset behind it; `None` when it is of another
    /// form. What the lines hold is not looked at.
    pub(super) fn read(text: &Arc<Text>, start: usize) -> Option<(Self, usize)> {
        let mut at = start + "{\n".len();
        if text.bytes.get(start..at)? != b"{\n" {
            return None;
        }
        let mut slots: Vec<(PluginName, Slot<T>)> = Vec::new();
        let mut goes_on = true;
        loop {
            let rest = text.bytes.get(at..)?;
            if !goes_on || slots.is_empty() && rest.starts_with(b"}") {
                let end = rest.starts_with(b"}").then_some(at + 1)?;
                return Some((Self { slots: slots.into_iter().collect(), replaced: Vec::new() }, end));
            }
            let line = rest.get(..memchr::memchr(b'\n', rest)?)?;
            let (name, value) = line.strip_prefix(b"\"")?.split_at_checked(memchr::memchr(b'"', line.get(1..)?)?)?;
            let name: PluginName = std::str::from_utf8(name).ok()?.parse().ok()?;
            // In another order a name could be there twice.
            if slots.last().is_some_and(|(last, _)| *last >= name) {
                return None;
            }
            let value = value.strip_prefix(b"\":")?;
            goes_on = value.ends_with(b",");
            let next = at + line.len() + 1;
            let end = next - 1 - usize::from(goes_on);
            let line_value = end.checked_sub(value.len() - usize::from(goes_on))?..end;
            slots.push((name, Slot::Read(Line { text: Arc::clone(text), at: line_value }, OnceLock::new())));
            at = next;
        }
    }
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self { slots: BTreeMap::new(), replaced: Vec::new() }
    }
}

impl<T> From<BTreeMap<PluginName, T>> for Records<T> {
    fn from(values: BTreeMap<PluginName, T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T> FromIterator<(PluginName, T)> for Records<T> {
    fn from_iter<I: IntoIterator<Item = (PluginName, T)>>(values: I) -> Self {
        let slots = values.into_iter().map(|(name, value)| (name, Slot::Made(Box::new(value)))).collect();
        Self { slots, replaced: Vec::new() }
    }
}

impl<T> Extend<(PluginName, T)> for Records<T> {
    fn extend<I: IntoIterator<Item = (PluginName, T)>>(&mut self, values: I) {
        values.into_iter().for_each(|(name, value)| self.insert(name, value));
    }
}

/// What cannot be read is equal to its own text alone.
impl<T: DeserializeOwned + PartialEq> PartialEq for Records<T> {
    fn eq(&self, other: &Self) -> bool {
        let same_text = |one: &Slot<T>, other: &Slot<T>| matches!((one, other), (Slot::Read(one, _), Slot::Read(other, _)) if one.bytes() == other.bytes());
        let same = |name: &PluginName, one: &Slot<T>, other: &Slot<T>| {
            same_text(one, other) || matches!((one.get(name), other.get(name)), (Ok(one), Ok(other)) if one == other)
        };
        let mut pairs = self.slots.iter().zip(&other.slots);
        self.len() == other.len()
            && pairs.all(|((name, one), (other_name, other))| name == other_name && same(name, one, other))
    }
}
