//! The verbs of the keyring.

use std::path::Path;

use super::{RevokeArgs, TrustArgs, day, text};
use crate::cli::session::now;
use crate::cli::{Failure, Session};
use crate::ids::Fingerprint;
use crate::manage::{
    KeyDetails, KeyRevokeReport, KeyWord, TrustRequest, Until, key_list, key_revoke, key_show, key_trust, key_untrust,
};
use crate::trust::keyring::load_public;
use crate::trust::{PublicKey, TrustError};

/// A key that is given whole: its one line, or a file of it.
pub(super) fn public(word: &str) -> Result<PublicKey, TrustError> {
    if word.starts_with("ed25519-public:") { word.parse() } else { load_public(Path::new(word)) }
}

/// A key that may be known by its fingerprint.
pub(super) fn key(word: &str) -> Result<KeyWord, TrustError> {
    match word.parse::<Fingerprint>() {
        Ok(fingerprint) => Ok(KeyWord::Fingerprint(fingerprint)),
        Err(_) => public(word).map(KeyWord::Public),
    }
}

/// The end of trust, as it is typed.
pub(super) fn until(word: &str) -> Result<Until, TrustError> {
    if word == "forever" { Ok(Until::Forever) } else { day(word).map(Until::Time) }
}

pub(super) fn list(session: &Session) -> Result<(), Failure> {
    let keys = key_list(&session.home()?)?;
    session.out.report(&keys, |keys| match keys.as_slice() {
        [] => "No key is trusted.\n".to_owned(),
        keys => keys.iter().map(text::key).collect(),
    })
}

pub(super) fn show(word: &str, session: &Session) -> Result<(), Failure> {
    let details = key_show(&session.home()?, &key(word)?.fingerprint())?;
    session.out.report(&details, |KeyDetails { key, list, plugins }| {
        let mut shown = text::key(key);
        shown.push_str(&text::line("key", &key.public_key));
        if let Some(list) = list {
            shown.push_str(&text::line(
                "list",
                &format!("version {} of {}, until {}", list.version, list.issued, list.expires),
            ));
            list.keys.iter().for_each(|key| shown.push_str(&text::line("revokes", &key.to_string())));
        }
        plugins.iter().for_each(|name| shown.push_str(&text::line("signed", name.as_str())));
        shown
    })
}

pub(super) fn trust(args: &TrustArgs, session: &Session) -> Result<(), Failure> {
    let TrustArgs { key, label, scope, until } = args;
    let key = public(key)?;
    let request = TrustRequest { key: &key, label: label.as_deref(), scope, until: *until, now: &now() };
    let report = key_trust(&session.home()?, &request)?;
    session.out.report(&report, |report| {
        let said = format!("Key {} trusted for {}", report.fingerprint, text::scopes(report));
        session.out.done(&format!("{said}, for new plugins until {}", text::until(report)))
    })
}

pub(super) fn untrust(word: &str, forget_revocation: bool, session: &Session) -> Result<(), Failure> {
    let report = key_untrust(&session.home()?, &key(word)?.fingerprint(), forget_revocation)?;
    session.out.report(&report, |report| {
        let mut shown = session.out.done(&format!("Key {} forgotten\n", report.key.fingerprint));
        report.runnable.iter().for_each(|name| shown.push_str(&text::line("runs", name.as_str())));
        shown
    })
}

pub(super) fn revoke(args: &RevokeArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    // Every word is read before the first key is touched.
    let keys = args.keys.iter().map(|word| key(word)).collect::<Result<Vec<_>, _>>()?;
    let revoke = |key| key_revoke(&home, key, args.since(), args.keep_older, &now());
    let reports = keys.iter().map(revoke).collect::<Result<Vec<_>, _>>()?;
    session.out.report(&reports, |reports| {
        let one = |KeyRevokeReport { key, stopped, staying }: &KeyRevokeReport| {
            let mut shown = session.out.done(&format!("Key {} revoked\n", key.fingerprint));
            stopped.iter().for_each(|name| shown.push_str(&text::line("stopped", name.as_str())));
            staying.iter().for_each(|name| shown.push_str(&text::line("stays", name.as_str())));
            shown
        };
        reports.iter().map(one).collect()
    })
}
