//! Both kinds of package, from bytes to a checked value.

use super::*;
use crate::code::{Code, Coded as _};
use crate::package::build::assemble;
use crate::package::fixture::{self, CREATED, FILE, MANIFEST, library};

fn sidecar_of(index: &Index) -> Vec<u8> {
    let text = index.render();
    sidecar::render(&text, &fixture::signature()).into_bytes()
}

fn opened(library: Vec<u8>, index: &Index) -> Result<Package, PackageError> {
    open_library(library, Some(&sidecar_of(index)), FILE)?.into_package()
}

#[test]
fn a_library_with_its_sidecar_becomes_a_package() {
    let index = fixture::assembled().sidecar_index;
    let package = opened(fixture::plugin(), &index).unwrap();
    assert_eq!(package.digest, index.digest());
    assert_eq!(package.index_text, index.render().into_bytes());
    assert_eq!(package.library(), fixture::plugin());
    assert_eq!(package.manifest.name, "hello-world");
    assert_eq!(package.elf.unwrap().needed, ["libc.so.6"]);
    assert!(package.signature.is_some());
}

// A122: what an exception is bound to depends on the library's bytes alone.
#[test]
fn a_bare_library_gets_an_index_of_its_own() {
    let one = open_library(fixture::plugin(), None, FILE).unwrap();
    let other = open_library(fixture::plugin(), None, "renamed file").unwrap();
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.signature, None);
    assert_eq!(one.index.entry, FILE);
    let changed = library(&MANIFEST.replace("Says hello", "Says Hello"), &["-shared", "-fPIC"], "");
    assert_ne!(open_library(changed, None, FILE).unwrap().digest(), one.digest());
    assert_eq!(one.into_package().unwrap().manifest.version, "1.0.0");
    assert_eq!(open_library(b"text".to_vec(), None, FILE).unwrap_err().code(), Code::NotAPlugin);
}

// A108, A114, A115, A116: what differs from the index is refused, whoever signed it.
#[test]
fn content_must_be_what_was_signed() {
    let good = fixture::assembled().sidecar_index;
    let check = |what: &str, code: Code, edit: &dyn Fn(&mut Index)| {
        let mut index = good.clone();
        edit(&mut index);
        let error = opened(fixture::plugin(), &index).expect_err(what);
        assert_eq!(error.code(), code, "{what}: {error}");
    };
    let differs = Code::ContentMismatch;
    check("size", differs, &|index| index.files[0].size += 1);
    check("digest", differs, &|index| index.files[0].digest = Digest::of(b""));
    check("name", differs, &|index| index.name = "other".parse().unwrap());
    check("version", differs, &|index| index.version = semver::Version::new(1, 0, 1));
    check("api", differs, &|index| index.api.minor = 1);
    check("fewer permissions", differs, &|index| drop(index.permissions.pop()));
    check("more permissions", differs, &|index| index.permissions.push("exec=sh".parse().unwrap()));
    check("another scope", differs, &|index| index.permissions[1] = "filesystem=read:./logs".parse().unwrap());
    check("two files", differs, &|index| index.files.push(FileEntry::of("z", 0o644, b"")));
    check("target", Code::TargetMissing, &|index| index.target = "riscv64gc-unknown-linux-gnu".to_owned());
    let mut other = fixture::plugin();
    other.push(0);
    assert_eq!(opened(other, &good).unwrap_err().code(), differs);
}

// A108: every sampled bit of the library.
#[test]
fn a_flipped_bit_of_the_library_is_refused() {
    let index = fixture::assembled().sidecar_index;
    let mut numbers = fixture::Numbers(7);
    for _ in 0..1000 {
        let mut flipped = fixture::plugin();
        let at = numbers.below(flipped.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        assert_eq!(opened(flipped, &index).unwrap_err().code(), Code::ContentMismatch, "bit {at}");
    }
}

// A138: two manifests that differ.
#[test]
fn the_readable_manifest_is_the_embedded_one() {
    let mut assembled = fixture::assembled();
    assembled.files[1].1.push(b'\n');
    let copy = FileEntry::of(manifest::FILE_NAME, 0o644, &assembled.files[1].1);
    assembled.package_index.files[1] = copy;
    let signature = fixture::signature();
    let package = assembled.package(&signature).unwrap();
    let error = open(package).unwrap().into_package().unwrap_err();
    assert_eq!(error.code(), Code::ContentMismatch);
    assert!(error.to_string().contains("plugin.json"), "{error}");
}

#[test]
fn assembling_refuses_what_reading_refuses() {
    let check = |library: Vec<u8>, file: &str, created: &str, code: Code| {
        assert_eq!(assemble(library, file, created).unwrap_err().code(), code, "{file} {created}");
    };
    check(fixture::plugin(), "../x.so", CREATED, Code::EntryPath);
    check(fixture::plugin(), "plugin.json", CREATED, Code::Duplicate);
    check(fixture::plugin(), FILE, "yesterday", Code::PackageInvalid);
    check(b"text".to_vec(), FILE, CREATED, Code::NotAPlugin);
    let flags = ["-shared", "-fPIC"];
    check(library(&MANIFEST.replace("hello-world", "install"), &flags, ""), FILE, CREATED, Code::NameReserved);
    check(library(&MANIFEST.replace("1.0.0", "latest"), &flags, ""), FILE, CREATED, Code::ManifestInvalid);
    check(library(MANIFEST, &["-shared", "-fPIC", "-Wl,-rpath,/x"], ""), FILE, CREATED, Code::ElfDynamic);
    assert_eq!(fixture::assembled().package_name(), "hello-world-1.0.0.mgp");
}

#[test]
fn a_library_over_the_cap_is_refused_unread() {
    let large = vec![0; usize::try_from(UNPACKED_MAX).unwrap() + 1];
    assert_eq!(open_library(large, None, FILE).unwrap_err().code(), Code::LimitPackage);
}
