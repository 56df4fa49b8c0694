//! Packages for several machines.

use super::*;
use crate::code::{Code, Coded as _};
use crate::package::fixture::{self, CREATED, FILE, MANIFEST, library};
use crate::package::target::known;
use crate::package::{Files, Package, TARGET, open};

/// The same library, as its header says for another machine.
fn foreign(mut library: Vec<u8>, machine: u8) -> Vec<u8> {
    library[18] = machine;
    library
}

/// `EM_AARCH64` and `EM_X86_64` (elf.h).
const OTHER: u8 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };

fn other() -> &'static Target {
    known(if cfg!(target_arch = "aarch64") { "x86_64-unknown-linux-gnu" } else { "aarch64-unknown-linux-gnu" }).unwrap()
}

fn files(assembled: &Assembled) -> Files {
    open(assembled.package(&fixture::signature()).unwrap()).unwrap().into_files().unwrap()
}

fn texts() -> Vec<(String, Vec<u8>)> {
    [("README.md", "# Hi"), ("LICENSE", "MIT"), ("config.example", "a: 1"), ("tests/one.rs", "")]
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .to_vec()
}

fn assembled() -> Assembled {
    assemble_with(fixture::plugin(), FILE, CREATED, texts(), OWN).unwrap()
}

fn joined() -> Joined {
    let Files { index, files, .. } = files(&assembled());
    add_target(&index, &files, &foreign(fixture::plugin(), OTHER), other()).unwrap()
}

fn read(joined: &Joined) -> Result<Package, PackageError> {
    open(joined.package(&fixture::signature()).unwrap()).unwrap().into_package()
}

#[test]
fn a_library_is_added_and_each_machine_gets_its_own() {
    let joined = joined();
    let package = read(&joined).unwrap();
    assert_eq!(package.index.targets(), ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"]);
    assert_eq!((package.index.target.as_str(), package.library()), (TARGET, fixture::plugin().as_slice()));
    let paths: Vec<_> = package.files.iter().map(|(entry, _)| entry.path.as_str()).collect();
    let own = format!("{TARGET}/{FILE}");
    assert_eq!(paths, ["LICENSE", "README.md", "config.example", "plugin.json", "tests/one.rs", &own]);
    assert_eq!(package.others.len(), 1);
    // Neither the order in which they come nor one that is there already makes a difference.
    let first = assemble_with(foreign(fixture::plugin(), OTHER), FILE, CREATED, texts(), other()).unwrap();
    assert_eq!(
        open(first.package(&fixture::signature()).unwrap()).unwrap().into_package().unwrap_err().code(),
        Code::TargetMissing
    );
    let Files { index, files: all, .. } = files(&first);
    let turned = add_target(&index, &all, &fixture::plugin(), OWN).unwrap();
    assert_eq!((turned.index.render(), &turned.files), (joined.index.render(), &joined.files));
    let files: Vec<_> = package.files.iter().chain(&package.others).cloned().collect();
    let again = add_target(&package.index, &files, &fixture::plugin(), OWN).unwrap();
    assert_eq!(again.index.render(), joined.index.render());
    let Files { index, files, .. } = files_of_one();
    assert_eq!(add_target(&index, &files, &fixture::plugin(), OWN).unwrap().index, index, "one machine is as ever");
}

fn files_of_one() -> Files {
    files(&fixture::assembled())
}

#[test]
fn what_does_not_fit_is_not_added() {
    let Files { index, files, .. } = files(&assembled());
    let refused = |library: Vec<u8>, target: &Target| add_target(&index, &files, &library, target).unwrap_err().code();
    let flags = ["-shared", "-fPIC"];
    let changed = library(&MANIFEST.replace("Says hello", "Says Hello"), &flags, "");
    assert_eq!(refused(foreign(changed, OTHER), other()), Code::ContentMismatch, "another manifest");
    assert_eq!(refused(fixture::plugin(), other()), Code::ElfInvalid, "another machine");
    assert_eq!(refused(library(MANIFEST, &flags, "int more;"), OWN), Code::ContentMismatch, "another content");
    assert_eq!(refused(b"text".to_vec(), other()), Code::NotAPlugin);
    let rpath = library(MANIFEST, &["-shared", "-fPIC", "-Wl,-rpath,/x"], "");
    assert_eq!(refused(foreign(rpath, OTHER), other()), Code::ElfDynamic);
    let second = vec![("plugin.yaml".to_owned(), Vec::new())];
    let error = assemble_with(fixture::plugin(), FILE, CREATED, second, OWN).unwrap_err();
    assert_eq!(error.code(), Code::Duplicate);
}

#[test]
fn the_others_say_what_this_one_says() {
    let flags = ["-shared", "-fPIC"];
    let mut made = joined();
    let lies = foreign(library(&MANIFEST.replace("Says hello", "Says Hello"), &flags, ""), OTHER);
    let at = made.files.iter().position(|(path, _)| path.starts_with(other().triple)).unwrap();
    made.files[at].1 = lies;
    made.index.files[at] = FileEntry::of(&made.files[at].0, 0o644, &made.files[at].1);
    let error = read(&made).unwrap_err();
    assert_eq!(error.code(), Code::ContentMismatch, "{error}");
    // What is listed for a machine that is not known is compared with its digest alone.
    let mut made = joined();
    let mut builds = made.index.builds();
    builds.iter_mut().filter(|build| build.target != TARGET).for_each(|build| build.target = "riscv64gc-x".to_owned());
    made.index.set_builds(builds);
    made.files[at].1 = b"anything".to_vec();
    made.index.files[at] = FileEntry::of(&made.files[at].0, 0o644, b"anything");
    assert_eq!(read(&made).unwrap().index.targets(), ["riscv64gc-x", TARGET]);
}
