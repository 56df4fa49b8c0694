//! The package walker, in three ways: the bytes as a file, as an archive that is compressed first, and as changes to a good
//! archive. What is accepted is what its index says; a good archive that was changed is refused, or its signature does not
//! verify any more, or it is still the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use migraine_host::package::scripts::assemble;
use migraine_host::package::{FILES_MAX, Opened, Package, UNPACKED_MAX, archive, open};
use migraine_host::trust::SecretKey;

/// Signs the good package.
static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[7; 32]));

/// A package of two files, and its archive.
static GOOD: LazyLock<(Package, Vec<u8>)> = LazyLock::new(|| {
    let manifest = b"name: demo\nversion: 1.0.0\ncommands: [{name: go, handler: {type: bash, script: 'echo hello'}}]\n";
    let files = [("plugin.yaml", &manifest[..]), ("docs/README.md", b"# Demo\n")];
    let files = files.map(|(path, content)| (path.to_owned(), content.to_vec())).to_vec();
    let made = assemble("plugin.yaml", files, "2026-01-02T03:04:05Z").expect("the manifest is valid");
    let signature = KEY.sign(made.index.render().as_bytes());
    let package = made.package(&signature).expect("it is small");
    let archive = zstd::stream::decode_all(package.as_slice()).expect("it was compressed just now");
    (read(package).expect("it is good"), archive)
});

fuzz_target!(|bytes: &[u8]| {
    let Some((way, bytes)) = bytes.split_first() else { return };
    match way % 3 {
        0 => check(bytes.to_vec()),
        1 => check(zstd::stream::encode_all(bytes, 1).expect("memory suffices")),
        _ => changed(bytes),
    }
});

fn read(package: Vec<u8>) -> Option<Package> {
    open(package).and_then(Opened::into_package).ok()
}

fn check(package: Vec<u8>) {
    let Some(package) = read(package) else { return };
    let sum: usize = package.files.iter().map(|(_, content)| content.len()).sum();
    assert!(package.files.len() <= FILES_MAX && u64::try_from(sum).is_ok_and(|sum| sum <= UNPACKED_MAX));
    let Some(signature) = package.signature else { return };
    let files: Vec<_> = package.files.iter().map(|(entry, content)| (entry.path.clone(), content.clone())).collect();
    let text = String::from_utf8(package.index_text.clone()).expect("an index is ASCII");
    let again = archive::pack(&text, &signature, &files).expect("what was read can be packed");
    assert_eq!(read(again).expect("what was packed can be read").files, package.files);
}

/// Each three bytes are a change: where, and what is added there. The last odd byte cuts the end off.
fn changed(changes: &[u8]) {
    let (good, archive) = &*GOOD;
    let mut bytes = archive.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = bytes[at].wrapping_add(change[2]);
    }
    if changes.len() % 3 != 0 {
        let cut = usize::from(changes[changes.len() - 1]) * 64;
        bytes.truncate(bytes.len().saturating_sub(cut));
    }
    let packed = zstd::stream::encode_all(bytes.as_slice(), 1).expect("memory suffices");
    let Some(read) = read(packed) else { return };
    // As a verdict is made before anything else is believed.
    if !read.signature.is_some_and(|signature| KEY.public().verify(&read.index_text, &signature)) {
        return;
    }
    assert_eq!((&read.index, &read.files), (&good.index, &good.files));
}
