//! Signed plugins for throw-away homes: built libraries, with their own manifest or with one that a test writes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use migraine_host::package::build::{Assembled, assemble};
use migraine_host::trust::SecretKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;

/// When every package was made.
const CREATED: &str = "2026-01-02T03:04:05Z";

/// The key that every [`Home`](crate::home::Home) trusts but a bare one.
#[must_use]
pub fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// A key that nobody trusts.
#[must_use]
pub fn other_key() -> SecretKey {
    SecretKey::from_seed(&[8; 32])
}

/// A plugin in a folder of its own, as its author hands it out.
#[derive(Debug)]
pub struct Parcel {
    folder: TempDir,
    assembled: Assembled,
    /// The plugin's name.
    pub name: String,
    /// The bare library; its signature lies beside it.
    pub library: PathBuf,
}

/// A built plugin with its own manifest.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn plugin(package: &str) -> Parcel {
    Parcel::new(stripped(package), package, &key())
}

/// A built plugin whose manifest has other values under some keys. The code stays as it is: a subscription names one of
/// its handlers.
///
/// # Panics
/// It cannot be built, or the new manifest takes more room than the old one.
#[must_use]
pub fn remade(package: &str, changes: &Value) -> Parcel {
    let bytes = stripped(package);
    let assembled = assemble(bytes.clone(), "lib.so", CREATED).expect("a plugin that was built can be packaged");
    let old = assembled.files.iter().find(|(name, _)| name == "plugin.json").map(|(_, text)| text.clone());
    let old = old.expect("a package holds its manifest");
    let mut manifest: Value = serde_json::from_slice(&old).expect("the manifest is JSON");
    for (key, value) in changes.as_object().expect("changes are an object") {
        manifest[key] = value.clone();
    }
    let mut new = manifest.to_string().into_bytes();
    assert!(new.len() <= old.len(), "{} bytes do not fit into {}: {manifest}", new.len(), old.len());
    new.resize(old.len(), b' ');
    Parcel::new(replaced(bytes, &old, &new), package, &key())
}

fn replaced(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, w)| *w == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the manifest is not in the library");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// A library of a few kilobytes that nobody can call, with this manifest.
///
/// # Panics
/// The C compiler refuses it.
#[must_use]
pub fn tiny(manifest: &Value) -> Parcel {
    let numbers: Vec<String> = manifest.to_string().bytes().map(|byte| byte.to_string()).collect();
    let source = format!(
        "__attribute__((section(\".migraine.manifest\"), used)) static const unsigned char manifest[] = {{ {} }};\n",
        numbers.join(",")
    );
    Parcel::new(library(&source), "tiny", &key())
}

/// A library of C code.
///
/// # Panics
/// The C compiler refuses it.
#[must_use]
pub fn library(source: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("make a directory");
    let (input, output) = (folder.path().join("in.c"), folder.path().join("out.so"));
    fs::write(&input, source).expect("write the source");
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-nostdlib", "-s", "-Wl,-z,noseparate-code,-z,now", "-o"]).arg(&output).arg(&input);
    assert!(gcc.status().expect("run gcc").success());
    fs::read(output).expect("read the library")
}

/// A manifest with these keys besides name and version.
#[must_use]
pub fn manifest(name: &str, more: &Value) -> Value {
    let mut manifest = serde_json::json!({"name": name, "version": "1.0.0", "api_version": "1.0"});
    for (key, value) in more.as_object().into_iter().flatten() {
        manifest[key] = value.clone();
    }
    manifest
}

/// A library without what a debugger needs: a tenth of the bytes to hash, copy and map.
fn stripped(package: &str) -> Vec<u8> {
    static DONE: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let library = artifacts::library(package);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    done.entry(package.to_owned())
        .or_insert_with(|| {
            let folder = tempfile::tempdir().expect("make a directory");
            let output = folder.path().join("out.so");
            let status = Command::new("strip").arg("-s").arg("-o").arg(&output).arg(library).status();
            assert!(status.expect("run strip").success());
            fs::read(output).expect("read the library")
        })
        .clone()
}

impl Parcel {
    fn new(library: Vec<u8>, package: &str, key: &SecretKey) -> Self {
        // Every user may read what an author hands out.
        let open = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("migraine-parcel-").permissions(open).tempdir();
        let folder = folder.expect("make a directory");
        let file_name = format!("lib{}.so", package.replace('-', "_"));
        let path = folder.path().join(&file_name);
        fs::write(&path, &library).expect("write the library");
        let assembled = assemble(library, &file_name, CREATED).expect("the library can be packaged");
        let name = assembled.package_index.name.to_string();
        let parcel = Self { folder, assembled, name, library: path };
        parcel.signed(key)
    }

    /// A library that no signature fits, in place of the one that was signed.
    ///
    /// # Panics
    /// The folder cannot be written to.
    #[must_use]
    pub fn replaced(self, library: &[u8]) -> Self {
        fs::write(&self.library, library).expect("write the library");
        self.unsigned()
    }

    /// Signs it again, with another key.
    ///
    /// # Panics
    /// The folder cannot be written to.
    #[must_use]
    pub fn signed(self, key: &SecretKey) -> Self {
        let signature = key.sign(self.assembled.sidecar_index.render().as_bytes());
        fs::write(self.sidecar(), self.assembled.sidecar(&signature)).expect("write the signature");
        self
    }

    /// Leaves the signature out.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn unsigned(self) -> Self {
        fs::remove_file(self.sidecar()).expect("remove the signature");
        self
    }

    /// The file of the signature.
    #[must_use]
    pub fn sidecar(&self) -> PathBuf {
        self.library.with_extension("so.sig")
    }

    /// Writes the package and gives its path.
    ///
    /// # Panics
    /// The folder cannot be written to.
    #[must_use]
    pub fn package(&self) -> PathBuf {
        let path = self.folder.path().join(self.assembled.package_name());
        let signature = key().sign(self.assembled.package_index.render().as_bytes());
        let bytes = self.assembled.package(&signature).expect("the package is within its limits");
        fs::write(&path, bytes).expect("write the package");
        path
    }

    /// The files that the signature of the package names.
    #[must_use]
    pub fn files(&self) -> &[(String, Vec<u8>)] {
        &self.assembled.files
    }

    /// The library as it is typed.
    ///
    /// # Panics
    /// The path is not UTF-8.
    #[must_use]
    pub fn typed(&self) -> &str {
        typed(&self.library)
    }
}

/// A path as it is typed.
///
/// # Panics
/// The path is not UTF-8.
#[must_use]
pub fn typed(path: &Path) -> &str {
    path.to_str().expect("a path of the test kit is UTF-8")
}
