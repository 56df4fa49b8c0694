//! Rows of what an installation does before anything runs, against the bare arithmetic over the same bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use migraine_host::ids::Digest;
use migraine_host::package::{Opened, Signature, open, open_library};
use migraine_host::trust::{KeySet, PublicKey, SecretKey, TrustedKey, judge};

use super::Row;
use crate::package_plugin;
use crate::project::Project;

const PLUGIN: &str = "hello-world";
const ROUNDS: usize = 300;

/// A library with its signature file; the reference hashes the library and verifies one signature.
pub(super) fn library(project: &Project) -> Result<Row> {
    let files = Files::make(project)?;
    let (keys, key) = files.keys()?;
    let Files { library, sidecar, .. } = files;
    let (index_text, signature) = parts(open_library(library.clone(), Some(&sidecar), "libhello_world.so")?)?;
    let about = format!("{} bytes: open, judge, inspect; reference: sha256, ed25519", library.len());
    let bytes = library.clone();
    let ours = move || accept(open_library(bytes.clone(), Some(&sidecar), "libhello_world.so")?, &keys);
    let reference = move || plain(&library.clone(), &key, &index_text, &signature);
    let (ours, reference) = (Box::new(ours), Box::new(reference));
    Ok(Row { name: "verify-library", about, ours, reference, settle: super::nothing(), target: 1.3, rounds: ROUNDS })
}

/// A package; the reference also decompresses it.
pub(super) fn package(project: &Project) -> Result<Row> {
    let files = Files::make(project)?;
    let (keys, key) = files.keys()?;
    let Files { library, package, .. } = files;
    let (index_text, signature) = parts(open(package.clone())?)?;
    let about = format!(
        "{} bytes, {} unpacked: open, judge, unpack, inspect; reference: zstd, sha256, ed25519",
        package.len(),
        library.len()
    );
    let bytes = package.clone();
    let ours = move || accept(open(bytes.clone())?, &keys);
    let reference = move || plain(&zstd::decode_all(package.as_slice())?, &key, &index_text, &signature);
    let (ours, reference) = (Box::new(ours), Box::new(reference));
    Ok(Row { name: "verify-package", about, ours, reference, settle: super::nothing(), target: 1.3, rounds: ROUNDS })
}

/// What the plugin was packaged into.
struct Files {
    library: Vec<u8>,
    sidecar: Vec<u8>,
    package: Vec<u8>,
}

impl Files {
    fn make(project: &Project) -> Result<Self> {
        // Any key will do; this one is no secret and is trusted by nobody.
        let key = SecretKey::from_seed(&[1; 32]);
        let packaged = package_plugin::make(project, PLUGIN, &key, Some(&project.target.join("bench")))?;
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read `{}`", path.display()));
        Ok(Self {
            library: read(&packaged.library)?,
            sidecar: read(&packaged.signature)?,
            package: read(&packaged.package)?,
        })
    }

    /// A set that trusts the key they were signed with, and that key.
    fn keys(&self) -> Result<(KeySet, PublicKey)> {
        let (_, signature) = parts(open(self.package.clone())?)?;
        let key = PublicKey::from_bytes(&signature.key)?;
        let trusted = TrustedKey::new(key.clone(), "bench", &["*".parse()?], "1980-01-01T00:00:00Z")?;
        Ok((KeySet::new(vec![trusted]), key))
    }
}

fn parts(opened: Opened) -> Result<(Vec<u8>, Signature)> {
    Ok((opened.index_text, opened.signature.context("it is not signed")?))
}

fn accept(opened: Opened, keys: &KeySet) -> Result<()> {
    judge(&opened.index_text, &opened.index, opened.signature.as_ref(), keys, &[])?;
    std::hint::black_box(opened.into_package()?);
    Ok(())
}

fn plain(content: &[u8], key: &PublicKey, index_text: &[u8], signature: &Signature) -> Result<()> {
    std::hint::black_box(Digest::of(content));
    if !key.verify(index_text, signature) {
        bail!("the signature does not verify");
    }
    Ok(())
}
