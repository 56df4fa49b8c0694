//! Packages of scripts: built, opened, refused.

use super::*;
use crate::code::{Code, Coded as _};
use crate::package::fixture::{self, CREATED};
use crate::package::{manifest, open};

const ENTRY: &str = "log-processor.yaml";
const YAML: &str = include_str!("../../../../examples/log-processor/log-processor.yaml");
const PYTHON: &str = include_str!("../../../../examples/log-processor/log_processor.py");

fn files(list: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    list.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect()
}

fn seed(more: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    files(&[&[(ENTRY, YAML.as_bytes()), ("log_processor.py", PYTHON.as_bytes())], more].concat())
}

#[test]
fn scripts_become_a_package_and_come_back() {
    let texts: &[(&str, &[u8])] = &[("README.md", b"x"), ("Dockerfile", b"FROM a"), ("tests/test_a.py", b"")];
    let made = assemble(ENTRY, seed(texts), CREATED).unwrap();
    assert_eq!((made.index.target.as_str(), made.index.entry.as_str()), (ANY_TARGET, ENTRY));
    let bytes = made.package(&fixture::signature()).unwrap();
    let package = open(bytes).unwrap().into_package().unwrap();
    assert_eq!(package.files.len(), 5);
    assert_eq!((package.manifest, package.elf), (made.manifest, None));
    assert_eq!(package.index.permissions[0].to_string(), "filesystem=write:{{directory config.log_file}}");
}

// What an exception is bound to: every file, by its bytes and its name, and nothing else.
#[test]
fn unsigned_scripts_have_a_digest_of_their_bytes() {
    let digest = |files| open_scripts(ENTRY, files).unwrap().digest();
    let mut turned = seed(&[("a.txt", b"")]);
    turned.reverse();
    let one = digest(seed(&[("a.txt", b"")]));
    assert_eq!(one, digest(turned));
    assert_ne!(one, digest(seed(&[("a.txt", b"1")])));
    assert_ne!(one, digest(seed(&[("b.txt", b"")])));
    assert_ne!(one, digest(seed(&[])));
    let opened = open_scripts(ENTRY, seed(&[])).unwrap();
    assert!(opened.signature.is_none());
    assert_eq!(opened.into_package().unwrap().manifest.name, "log-processor");
}

// A176: what Python would run in place of the source. A140: names.
#[test]
fn what_nobody_has_looked_at_is_refused() {
    let [file, path, twice] = [Code::PackageInvalid, Code::EntryPath, Code::Duplicate];
    for (name, content, why, code) in [
        ("__pycache__/log_processor.cpython-311.pyc", &b""[..], "compiled code", file),
        ("a/__PyCache__/x", b"", "compiled code", file),
        ("log_processor.pyc", b"", "compiled code", file),
        ("log_processor.cpython-311-x86_64-linux-gnu.so", b"", "compiled code", file),
        ("a.so.1", b"", "compiled code", file),
        ("x.pth", b"", "compiled code", file),
        ("tool", b"\x7fELF", "no handler", file),
        ("plugin.json", b"{}", "second manifest", twice),
        ("../a", b"", "is no path of a package", path),
        (".hidden", b"", "is no path of a package", path),
        ("-rf", b"", "is no path of a package", path),
        ("LOG_processor.py", b"", "another file has this name", twice),
    ] {
        let error = assemble(ENTRY, seed(&[(name, content)]), CREATED).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
}

#[test]
fn handlers_need_their_files() {
    let missing = |entry: &str, text: &str, more: &[(&str, &[u8])]| {
        let all = [&[(entry, text.as_bytes())], more].concat();
        assemble(entry, files(&all), CREATED).map(|made| made.index.target).map_err(|error| error.to_string())
    };
    let error = missing(ENTRY, YAML, &[]).unwrap_err();
    assert!(error.contains("the Python module `log_processor` is missing"), "{error}");
    assert!(missing(ENTRY, YAML, &[("log_processor/__init__.py", b"")]).is_ok());
    let program = "name: a\nversion: 1.0.0\nhandler: {type: executable, program: bin/a}\ncommands: [b]\n";
    assert!(missing("plugin.yaml", program, &[]).unwrap_err().contains("bin/a"));
    let error = missing("plugin.yaml", program, &[("bin/a", b"#!/bin/sh\n")]).unwrap_err();
    assert!(error.contains("`bin/a`: it is no ELF program"), "{error}");
    let elf = fixture::compile("int main(void) { return 0; }", &[]);
    assert_eq!(missing("plugin.yaml", program, &[("bin/a", &elf)]).as_deref(), Ok(TARGET));
    let perl = program.replace("bin/a}", "bin/a, interpreter: perl}");
    assert_eq!(missing("plugin.yaml", &perl, &[("bin/a", b"print 1;\n")]).as_deref(), Ok(ANY_TARGET));
    let native = "name: a\nversion: 1.0.0\ncommands: [b]\n";
    assert!(missing("plugin.yaml", native, &[]).unwrap_err().contains("names no script"));
}

// A108: the signed index says what the manifest says, for scripts as for libraries.
#[test]
fn the_index_must_say_what_the_manifest_says() {
    let made = assemble(ENTRY, seed(&[]), CREATED).unwrap();
    let check = |what: &str, code: Code, edit: &dyn Fn(&mut Index)| {
        let mut changed = made.clone();
        edit(&mut changed.index);
        let error = open(changed.package(&fixture::signature()).unwrap()).unwrap().into_package().unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
    };
    let differs = Code::ContentMismatch;
    check("permissions", differs, &|index| index.permissions.clear());
    check("version", differs, &|index| index.version.major = 2);
    check("target", differs, &|index| TARGET.clone_into(&mut index.target));
    check("another target", Code::TargetMissing, &|index| "riscv64gc-unknown-linux-gnu".clone_into(&mut index.target));
    check("another entry", Code::TargetMissing, &|index| {
        "log_processor.py".clone_into(&mut index.entry);
    });
    // A library whose manifest names scripts would have two who answer.
    let text = r#"{"name":"a","version":"1.0.0","api_version":"1.0","hooks":[{"event":"post-command","script":"a"}]}"#;
    let library = fixture::library(text, &["-shared", "-fPIC"], "");
    let error = crate::package::build::assemble(library, "liba.so", CREATED).unwrap_err();
    assert_eq!(error.code(), Code::ManifestInvalid);
    assert!(manifest::parse(text.as_bytes()).is_ok());
}
