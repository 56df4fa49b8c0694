//! The verbs that use a secret key.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::trust::{key, public};
use super::{GenerateArgs, ImportArgs, RevokeArgs, RotateArgs, SecretArgs, text};
use crate::cli::passphrase::PassphraseArgs;
use crate::cli::session::now;
use crate::cli::{Failure, Session};
use crate::code::Code;
use crate::ids::Fingerprint;
use crate::manage::{KeyWord, ListInfo, key_show, list_import, rotation_import};
use crate::text::safe_line;
use crate::trust::keyring::{load_file, load_secret, save_public, save_secret};
use crate::trust::{
    ENCRYPTION_RANDOM, PublicKey, RevocationList, Rotation, SecretKey, Time, TrustError, trust_command,
};

#[derive(Serialize)]
struct SecretReport {
    path: PathBuf,
    encrypted: bool,
    fingerprint: Fingerprint,
    public_key: String,
    trust_command: String,
}

pub(super) fn generate(args: &GenerateArgs, session: &Session) -> Result<(), Failure> {
    let path = target(&args.secret, session)?;
    let seed = random::<32>()?;
    write_secret(&path, &SecretKey::from_seed(&seed), &args.secret, "Signing key made", session)
}

pub(super) fn import(args: &ImportArgs, session: &Session) -> Result<(), Failure> {
    let ImportArgs { file, secret } = args;
    let object = file.to_string_lossy();
    let content = Zeroizing::new(load_file(file)?);
    if Rotation::is_meant(&content) {
        let report = rotation_import(&session.home()?, &content, &object, &now())?;
        return session.out.report(&report, |report| {
            let mut shown = session.out.done("Key replaced; what the old one signed goes on running\n");
            [&report.old, &report.new].into_iter().for_each(|key| shown.push_str(&text::key(key)));
            shown
        });
    }
    if RevocationList::is_meant(&content) {
        let report = list_import(&session.home()?, &content, &object, &now())?;
        return session.out.report(&report, |report| {
            let (version, signer, count) = (report.list.version, report.list.signer, report.list.keys.len());
            let mut shown = session.out.done(&format!("List {version} of {signer} taken in: {count} keys revoked\n"));
            report.stopped.iter().for_each(|name| shown.push_str(&text::line("stopped", name.as_str())));
            shown
        });
    }
    let path = target(secret, session)?;
    let key = secret.passphrase.open(load_secret(file)?, file)?;
    write_secret(&path, &key, secret, "Signing key taken in", session)
}

/// Where a new secret key goes; before anybody is asked anything, nothing may be there.
fn target(args: &SecretArgs, session: &Session) -> Result<PathBuf, Failure> {
    let path = match &args.out {
        Some(path) => path.clone(),
        None => {
            let home = session.home()?;
            home.make()?;
            home.path().join("developer.key")
        }
    };
    if path.symlink_metadata().is_ok() {
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(TrustError::Io { action: "make", path, source }.into());
    }
    Ok(path)
}

fn write_secret(
    path: &Path,
    secret: &SecretKey,
    args: &SecretArgs,
    said: &str,
    session: &Session,
) -> Result<(), Failure> {
    let content = if args.no_passphrase {
        secret.render_plain()?
    } else {
        let passphrase = args.passphrase.new_one(path)?;
        let random = random::<ENCRYPTION_RANDOM>()?;
        secret.render_encrypted(&passphrase, &random)?
    };
    save_secret(path, &content)?;
    let public = secret.public();
    let report = SecretReport {
        path: path.to_owned(),
        encrypted: !args.no_passphrase,
        fingerprint: public.fingerprint(),
        public_key: public.to_string(),
        trust_command: trust_command(&public, "*"),
    };
    session.out.report(&report, |report| {
        let encrypted = if report.encrypted { "encrypted" } else { "NOT encrypted: whoever reads it can sign as you" };
        format!(
            "{}\n  file         {} ({encrypted})\n  fingerprint  {}\n  public key   {}\nTo trust it on a machine, for any plugin name, run there:\n  {}\n",
            session.out.done(said),
            safe_line(&report.path.to_string_lossy()),
            report.fingerprint,
            report.public_key,
            report.trust_command
        )
    })
}

#[derive(Serialize)]
struct StatementReport {
    path: PathBuf,
    old: Fingerprint,
    new: Fingerprint,
}

pub(super) fn rotate(args: &RotateArgs, session: &Session) -> Result<(), Failure> {
    let new = public(&args.new)?;
    let old = args.passphrase.open(load_secret(&args.old)?, &args.old)?;
    let statement = Rotation::sign(&old, &new, &args.scope, now().parse()?)?;
    save_public(&args.out, statement.as_bytes(), false)?;
    let report = StatementReport { path: args.out.clone(), old: old.fingerprint(), new: new.fingerprint() };
    session.out.report(&report, |report| {
        let file = safe_line(&report.path.to_string_lossy());
        format!(
            "{}\nWhoever trusts the old key takes the new one in with:\n  migraine key import {file}\n",
            session.out.done(&format!("Rotation from {} to {} written to {file}", report.old, report.new))
        )
    })
}

pub(super) fn list(path: &Path, signer: &Path, args: &RevokeArgs, session: &Session) -> Result<(), Failure> {
    let since = args.since();
    let more = args.keys.iter().map(|word| key(word).map(|key| (key.fingerprint(), since)));
    let more = more.collect::<Result<Vec<_>, _>>()?;
    let now: Time = now().parse()?;
    let secret = args.passphrase.open(load_secret(signer)?, signer)?;
    let object = path.to_string_lossy();
    let begun = match load_file(path) {
        Ok(bytes) => RevocationList::parse(&bytes, &object)?,
        Err(TrustError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            RevocationList::first(secret.public(), now)
        }
        Err(error) => return Err(error.into()),
    };
    let signed = begun.sign_next(&secret, &more, now)?;
    let list = RevocationList::parse(signed.as_bytes(), &object)?;
    save_public(path, signed.as_bytes(), true)?;
    session.out.report(&ListInfo::of(&list), |list| {
        let (version, count) = (list.version, list.keys.len());
        session.out.done(&format!("List {version} with {count} keys written; sign it anew before {}", list.expires))
    })
}

#[derive(Serialize)]
struct PublicReport {
    fingerprint: Fingerprint,
    public_key: String,
    pem: String,
}

pub(super) fn export(word: &str, passphrase: &PassphraseArgs, session: &Session) -> Result<(), Failure> {
    let public = exported(word, passphrase, session)?;
    let report =
        PublicReport { fingerprint: public.fingerprint(), public_key: public.to_string(), pem: public.render_pem()? };
    session.out.report(&report, |report| report.pem.clone())
}

fn exported(word: &str, passphrase: &PassphraseArgs, session: &Session) -> Result<PublicKey, Failure> {
    match key(word) {
        Ok(KeyWord::Public(public)) => Ok(public),
        Ok(KeyWord::Fingerprint(fingerprint)) => {
            Ok(key_show(&session.home()?, &fingerprint)?.key.public_key.parse()?)
        }
        // A file that is no public key may be a secret one.
        Err(error @ TrustError::Malformed { .. }) => match load_secret(Path::new(word)) {
            Ok(file) => Ok(passphrase.open(file, Path::new(word))?.public()),
            Err(insecure @ TrustError::Insecure { .. }) => Err(insecure.into()),
            Err(_) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Failure> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut())
        .map_err(|error| Failure::new(Code::Io, format!("cannot get random bytes: {error}"), None))?;
    Ok(bytes)
}
