//! Small real libraries for tests, built with the system's C compiler.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use super::Signature;
use super::build::{Assembled, assemble};

/// The manifest of [`plugin`].
pub(crate) const MANIFEST: &str = r#"{"name":"hello-world","version":"1.0.0","description":"Says hello","api_version":"1.0",
"permissions":["task_read","filesystem=read:./l\u00f6gs"],"commands":["hello"],"hooks":["post-command"]}"#;
/// When [`assembled`] was made.
pub(crate) const CREATED: &str = "2026-01-02T03:04:05Z";
/// The library's file name.
pub(crate) const FILE: &str = "libhello_world.so";

/// A library with a manifest section, built once.
pub(crate) fn plugin() -> Vec<u8> {
    static PLUGIN: OnceLock<Vec<u8>> = OnceLock::new();
    PLUGIN.get_or_init(|| library(MANIFEST, &["-shared", "-fPIC"], "")).clone()
}

/// [`plugin`], put together.
pub(crate) fn assembled() -> Assembled {
    assemble(plugin(), FILE, CREATED).unwrap()
}

/// A signature of the right form; packages are read without asking whether it verifies.
pub(crate) fn signature() -> Signature {
    Signature { key: [0xab; 32], bytes: [0xcd; 64] }
}

/// A library with a manifest section, other compiler flags and more source.
pub(crate) fn library(manifest: &str, flags: &[&str], more: &str) -> Vec<u8> {
    let bytes: Vec<_> = manifest.bytes().map(|byte| byte.to_string()).collect();
    let source = format!(
        "__attribute__((section(\".migraine.manifest\"), used)) static const unsigned char manifest[] = {{ {} }};\n{SOURCE}{more}",
        bytes.join(",")
    );
    compile(&source, flags)
}

const SOURCE: &str = "#include <stdlib.h>\nint roll(void) { return rand(); }\n";

/// Whatever the compiler makes of a source.
pub(crate) fn compile(source: &str, flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.c"), directory.path().join("out"));
    fs::write(&input, source).unwrap();
    let done = Command::new("gcc").arg("-o").arg(&output).arg(&input).args(flags).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::read(output).unwrap()
}

/// Numbers that look random and are the same on every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}
