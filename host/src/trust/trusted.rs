//! One key with what the user said of it, and how that is written in a file:
//!
//! ```text
//! migraine-trusted-key 1
//! key ed25519-public:HEX64
//! label Jane's laptop
//! scope acme-*
//! added 2026-01-02T03:04:05Z
//! from command
//! valid 2026-01-02T03:04:05Z 2028-01-02T03:04:05Z
//! handover ed25519:HEX64 2026-02-03T04:05:06Z 2026-02-04T05:06:07Z acme-* other
//! level trusted
//! ```
//!
//! Each line `handover OLD DATE TAKEN SCOPE...` is a rotation to a key that was trusted already, by itself or by another rotation:
//! more names, as long as the old key was not bad by then, and what the old key's plugins had there. A revoked key's last lines are `level revoked`, `revoked TIME`, `bad-since always` or a time, and a line `keep DIGEST` for
//! each plugin that may stay.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::fields::{Fields, malformed};
use super::revocation::BadSince;
use super::time::Time;
use super::{PublicKey, Scope, TrustError};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::text::display_safe;

const FIRST_LINE: &str = "migraine-trusted-key 1";
const WHAT: &str = "trusted key";
/// The longest label, in terminal cells.
const LABEL_MAX: usize = 64;
/// The most scopes of one key.
const SCOPES_MAX: usize = 32;
/// The most keys that handed over to one that was trusted already; the file stays below its cap.
const HANDOVERS_MAX: usize = 16;
/// The most plugins that may stay although their key was revoked.
const KEPT_MAX: usize = 256;

/// How far a key is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// The user named it.
    Trusted,
    /// The user was asked when a plugin was first installed, and agreed; for that one name.
    FirstUse,
    /// Not any more, whatever else says so.
    Revoked(Revoked),
}

/// A key that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// When the user said so.
    pub at: Time,
    /// Since when it is bad.
    pub since: BadSince,
    /// Installed packages that were signed before and may stay.
    pub kept: BTreeSet<Digest>,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::FirstUse => "tofu",
            Self::Revoked(_) => "revoked",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a key came into the keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `key trust` or `key revoke`.
    Command,
    /// An installation, after a person or the command line agreed.
    Install,
    /// A rotation that this key signed, on that date.
    Rotation(Fingerprint, Time),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("command"),
            Self::Install => f.write_str("install"),
            Self::Rotation(old, date) => write!(f, "rotation {old} {date}"),
        }
    }
}

impl FromStr for Origin {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || malformed("a line", WHAT, "`from` is command, install or rotation");
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["command"] => Ok(Self::Command),
            ["install"] => Ok(Self::Install),
            ["rotation", old, date] => Ok(Self::Rotation(old.parse().map_err(|_| refuse())?, date.parse()?)),
            _ => Err(refuse()),
        }
    }
}

/// Another key's handover to one that was trusted already: more names for that one, for as long as the other one is not known
/// to have been bad by then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handover {
    /// The key that signed the rotation.
    pub old: Fingerprint,
    /// When, as it says.
    pub date: Time,
    /// When it was taken in here.
    pub taken: Time,
    /// The names, at least one, sorted.
    pub scope: Vec<Scope>,
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.old, self.date, self.taken)?;
        self.scope.iter().try_for_each(|scope| write!(f, " {scope}"))
    }
}

impl FromStr for Handover {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || malformed("a line", WHAT, "`handover` names a key, two dates and names");
        let mut words = text.split(' ');
        let old = words.next().and_then(|word| word.parse().ok()).ok_or_else(refuse)?;
        let mut time = || words.next().ok_or_else(refuse)?.parse();
        let (date, taken) = (time()?, time()?);
        Ok(Self { old, date, taken, scope: words.map(str::parse).collect::<Result<_, _>>()? })
    }
}

/// When something new that a key signed may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Time,
    /// The moment from which on it may not; absent, there is none.
    pub until: Option<Time>,
}

impl Window {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn holds(&self, moment: Time) -> bool {
        self.from <= moment && self.until.is_none_or(|until| moment < until)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "{} {until}", self.from),
            None => write!(f, "{} forever", self.from),
        }
    }
}

impl FromStr for Window {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, until) = text.split_once(' ').unwrap_or((text, ""));
        let until = if until == "forever" { None } else { Some(until.parse()?) };
        Ok(Self { from: from.parse()?, until })
    }
}

/// Why a key may sign names: what its user said, apart from what keys said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByUser {
    /// The names that its user gave it.
    pub scope: Vec<Scope>,
    /// The rotations to it, sorted.
    pub handovers: Vec<Handover>,
}

/// A key with what the user said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// The user's own note; never taken from a plugin.
    pub label: String,
    /// The names it may sign by what [`TrustedKey::origin`] says, at least one, sorted.
    pub scope: Vec<Scope>,
    /// Rotations that came later, each once, sorted.
    pub handovers: Vec<Handover>,
    /// When it was added.
    pub added: Time,
    /// How.
    pub origin: Origin,
    /// When it may sign something new.
    pub window: Window,
    /// How far it is trusted.
    pub level: Level,
}

impl TrustedKey {
    /// A key that the user trusts from now on, without an end.
    ///
    /// # Errors
    /// A label, a scope list or a time that a key file could not hold.
    pub fn new(key: PublicKey, label: &str, scope: &[Scope], now: &str) -> Result<Self, TrustError> {
        let added = now.parse()?;
        let window = Window { from: added, until: None };
        let (label, scope) = (label.to_owned(), sorted(scope));
        Self { key, label, scope, handovers: Vec::new(), added, origin: Origin::Command, window, level: Level::Trusted }
            .checked()
    }

    /// The same key, if a file could hold it.
    ///
    /// # Errors
    /// A label, a scope list or a window that a key file could not hold.
    pub fn checked(self) -> Result<Self, TrustError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(reason) => Err(TrustError::Unfit { what: WHAT, reason }),
        }
    }

    /// The full fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// Whether it is trusted for a name.
    #[must_use]
    pub fn covers(&self, name: &PluginName) -> bool {
        self.all_scopes().any(|scope| scope.matches(name))
    }

    fn all_scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scope.iter().chain(self.handovers.iter().flat_map(|handover| &handover.scope))
    }

    /// All names that it may sign, each once, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Scope> {
        self.all_scopes().cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The names that it may sign whatever becomes of other keys.
    pub(super) fn own_names(&self) -> &[Scope] {
        if matches!(self.origin, Origin::Rotation(..)) { &[] } else { &self.scope }
    }

    /// The rotations by which it may sign names: who signed them, when at the latest, and which names. What a statement says of
    /// its own date is the word of whoever had the key; when it was taken in was seen here.
    pub(super) fn rotations(&self) -> impl Iterator<Item = (Fingerprint, Time, &[Scope])> {
        let first = match self.origin {
            Origin::Rotation(old, date) => Some((old, date.max(self.added), self.scope.as_slice())),
            Origin::Command | Origin::Install => None,
        };
        let more = self.handovers.iter();
        let more = more.map(|one| (one.old, one.date.max(one.taken), one.scope.as_slice()));
        first.into_iter().chain(more)
    }

    /// Whether a rotation that a key signed on a date was taken in.
    #[must_use]
    pub fn took_over(&self, old: Fingerprint, date: Time) -> bool {
        let is_later = self.handovers.iter().any(|known| (known.old, known.date) == (old, date));
        is_later || self.origin == Origin::Rotation(old, date)
    }

    /// The names that its user gave it, and every rotation to it.
    #[must_use]
    pub fn by_user(&self) -> ByUser {
        let mut handovers = self.handovers.clone();
        if let Origin::Rotation(old, date) = self.origin {
            handovers.push(Handover { old, date, taken: self.added, scope: self.scope.clone() });
            handovers.sort();
        }
        ByUser { scope: self.own_names().to_vec(), handovers }
    }

    /// The same key after a rotation to it: with these names more, which go with the old key.
    #[must_use]
    pub fn taking_over(mut self, (old, date): (Fingerprint, Time), scope: &[Scope], taken: Time) -> Self {
        let holds = |has: &[Scope]| scope.iter().all(|one| has.iter().any(|other| other.covers(one)));
        if self.origin == Origin::Rotation(old, date) && holds(&self.scope) {
            return self;
        }
        match self.handovers.iter_mut().find(|known| (known.old, known.date) == (old, date)) {
            Some(known) if holds(&known.scope) => {}
            // Another statement of the same date: no name of it was taken in before now.
            Some(known) => {
                known.scope = sorted(&[known.scope.as_slice(), scope].concat());
                known.taken = known.taken.max(taken);
            }
            None => self.handovers.push(Handover { old, date, taken, scope: sorted(scope) }),
        }
        self.handovers.sort();
        self
    }

    /// Whether the user named it for this very plugin: not for a family of names, nor in answer to a question, nor by taking in
    /// what another key says of it.
    #[must_use]
    pub fn is_meant_for(&self, name: &PluginName) -> bool {
        self.level == Level::Trusted && self.own_names().contains(&Scope::of(name))
    }

    /// Whether the user revoked it.
    #[must_use]
    pub fn revoked(&self) -> Option<&Revoked> {
        match &self.level {
            Level::Revoked(revoked) => Some(revoked),
            _ => None,
        }
    }

    /// The scopes in one line.
    #[must_use]
    pub fn scope_text(&self) -> String {
        self.names().iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
    }

    /// The content of its file.
    #[must_use]
    pub fn render(&self) -> String {
        let scopes: String = self.scope.iter().map(|scope| format!("scope {scope}\n")).collect();
        let handovers: String = self.handovers.iter().map(|handover| format!("handover {handover}\n")).collect();
        let Self { key, label, added, origin, window, level, .. } = self;
        let mut text = format!(
            "{FIRST_LINE}\nkey {key}\nlabel {label}\n{scopes}added {added}\nfrom {origin}\nvalid {window}\n{handovers}level {level}\n"
        );
        if let Some(Revoked { at, since, kept }) = self.revoked() {
            text.push_str(&format!("revoked {at}\nbad-since {since}\n"));
            text.extend(kept.iter().map(|digest| format!("keep {digest}\n")));
        }
        text
    }

    /// Reads the content of a key file; `object` names it in the error.
    ///
    /// # Errors
    /// Anything but what [`TrustedKey::render`] writes, or a weak key.
    pub fn parse(text: &[u8], object: &str) -> Result<Self, TrustError> {
        let mut fields = Fields::after(FIRST_LINE, text, object, WHAT)?;
        let mut trusted = Self {
            key: fields.take("key")?,
            label: fields.take("label")?,
            scope: fields.all("scope")?,
            added: fields.take("added")?,
            origin: fields.take("from")?,
            window: fields.take("valid")?,
            handovers: fields.all("handover")?,
            level: Level::Trusted,
        };
        trusted.level = match fields.take::<String>("level")?.as_str() {
            "trusted" => Level::Trusted,
            "tofu" => Level::FirstUse,
            "revoked" => {
                let (at, since) = (fields.take("revoked")?, fields.take("bad-since")?);
                Level::Revoked(Revoked { at, since, kept: fields.all("keep")?.into_iter().collect() })
            }
            _ => return Err(fields.refuse("`level` is trusted, tofu or revoked")),
        };
        trusted.check().map_err(|reason| fields.refuse(reason))?;
        if trusted.render().as_bytes() != text {
            return Err(fields.refuse("it is not written in the one accepted form"));
        }
        Ok(trusted)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.label.is_empty() || display_safe(&self.label, LABEL_MAX) != self.label {
            return Err("a label is one line of 1 to 64 visible characters");
        }
        if self.window.until.is_some_and(|until| until < self.window.from) {
            return Err("it stops being valid before it begins");
        }
        if self.revoked().is_some_and(|revoked| revoked.kept.len() > KEPT_MAX) {
            return Err("at most 256 plugins of a revoked key may stay");
        }
        if self.handovers.len() > HANDOVERS_MAX {
            return Err("at most 16 rotations to one key are kept");
        }
        let is_twice = |pair: &[Handover]| (pair[0].old, pair[0].date) >= (pair[1].old, pair[1].date);
        if self.handovers.windows(2).any(is_twice) {
            return Err("the rotations to it are not sorted, or one is there twice");
        }
        self.handovers.iter().try_for_each(|handover| check_scopes(&handover.scope))?;
        check_scopes(&self.scope)
    }
}

/// Scopes in their one order.
#[must_use]
pub fn sorted(scopes: &[Scope]) -> Vec<Scope> {
    scopes.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) fn check_scopes(scopes: &[Scope]) -> Result<(), &'static str> {
    if scopes.is_empty() || scopes.len() > SCOPES_MAX {
        return Err("a key has 1 to 32 scopes; `*` alone means any plugin name");
    }
    if !scopes.is_sorted_by(|one, next| one < next) {
        return Err("the scopes are not sorted, or one is there twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
