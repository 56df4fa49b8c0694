//! Real libraries, good, bad and damaged.

use super::*;
use crate::code::{Code, Coded as _};
use crate::package::fixture::{self, MANIFEST, Numbers, library};

const SHARED: [&str; 2] = ["-shared", "-fPIC"];

#[test]
fn an_ordinary_library_passes() {
    let facts = inspect(&fixture::plugin()).unwrap();
    assert_eq!(facts.manifest, MANIFEST.as_bytes());
    assert_eq!(facts.needed, ["libc.so.6"]);
    assert!(facts.imports.contains(&"rand".to_owned()), "{:?}", facts.imports);
    assert!(!facts.imports.contains(&"roll".to_owned()));
    let all = ["-Wl,--no-as-needed", "-lm", "-lpthread", "-ldl", "-lrt", "-lgcc_s"];
    let facts = inspect(&library(MANIFEST, &[&SHARED[..], &all].concat(), "")).unwrap();
    assert!(facts.needed.contains(&"libm.so.6".to_owned()), "{:?}", facts.needed);
}

#[test]
fn what_no_plugin_gets_is_refused() {
    let check = |flags: &[&str], more: &str, code: Code, text: &str| {
        let error = inspect(&library(MANIFEST, &[&SHARED[..], flags].concat(), more)).expect_err(text);
        assert_eq!(error.code(), code, "{flags:?}: {error}");
        assert!(error.to_string().contains(text), "{flags:?}: {error}");
    };
    check(&["-Wl,-rpath,/x,--disable-new-dtags"], "", Code::ElfDynamic, "DT_RPATH");
    check(&["-Wl,-rpath,$ORIGIN,--enable-new-dtags"], "", Code::ElfDynamic, "DT_RUNPATH");
    check(&["-Wl,--audit,x.so"], "", Code::ElfDynamic, "DT_AUDIT");
    check(&["-Wl,--depaudit,x.so"], "", Code::ElfDynamic, "DT_DEPAUDIT");
    check(&["-Wl,-F,x.so"], "", Code::ElfDynamic, "DT_FILTER");
    check(&["-Wl,-f,x.so"], "", Code::ElfDynamic, "DT_AUXILIARY");
    check(&["-Wl,-z,execstack"], "", Code::ElfInvalid, "executable stack");
    let writable_code = "__asm__(\".section .evil,\\\"awx\\\"\\n.quad 0\\n.text\\n\");";
    check(&[], writable_code, Code::ElfInvalid, "writable and executable");
    let text_relocation = "__asm__(\".text\\n.quad malloc\\n\");";
    check(&["-Wl,-z,notext"], text_relocation, Code::ElfInvalid, "DT_TEXTREL");
    let huge = "char huge[1L << 30];";
    check(&[], huge, Code::ElfInvalid, "256 MiB");
    let tls = "__thread char large[2 << 20];";
    check(&[], tls, Code::ElfInvalid, "thread-local");
}

#[test]
fn what_is_no_plugin_library_is_refused() {
    let check = |library: &[u8], code: Code, text: &str| {
        let error = inspect(library).expect_err(text);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    let patched = |at: usize, value: u8| {
        let mut bytes = fixture::plugin();
        bytes[at] = value;
        bytes
    };
    check(b"", Code::NotAPlugin, "not an ELF");
    check(b"#!/bin/sh\n", Code::NotAPlugin, "not an ELF");
    check(b"\x7fELF", Code::ElfInvalid, "ELF header");
    check(&fixture::compile("int f(void) { return 1; }", &SHARED), Code::NotAPlugin, "no manifest section");
    let main = "int main(void) { return 0; }";
    check(&library(MANIFEST, &["-pie", "-fPIE"], main), Code::ElfInvalid, "a program");
    check(&library(MANIFEST, &["-no-pie"], main), Code::ElfInvalid, "not a shared library");
    check(&library(MANIFEST, &["-static-pie"], main), Code::ElfInvalid, "a program");
    check(&library(MANIFEST, &["-c"], ""), Code::ElfInvalid, "not a shared library");
    check(&patched(4, 1), Code::ElfInvalid, "");
    check(&patched(5, 2), Code::ElfInvalid, "");
    check(&patched(7, 9), Code::ElfInvalid, "another operating system");
    check(&patched(18, 3), Code::ElfInvalid, "another kind of machine");
}

#[test]
fn a_dependency_outside_the_set_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("libother.so");
    std::fs::write(
        &other,
        fixture::compile("int other(void) { return 1; }", &["-shared", "-fPIC", "-Wl,-soname,libother.so.1"]),
    )
    .unwrap();
    let flags = ["-shared", "-fPIC", "-Wl,--no-as-needed", other.to_str().unwrap()];
    let error = inspect(&library(MANIFEST, &flags, "")).unwrap_err();
    assert_eq!(error.code(), Code::ElfDependency);
    assert!(error.to_string().contains("`libother.so.1`"), "{error}");
}

// A100: damage ends in an answer. A file that is cut anywhere has lost its section table, which stands at its end.
#[test]
fn a_truncated_library_is_refused() {
    let bytes = fixture::plugin();
    for len in 0..bytes.len() {
        assert!(inspect(&bytes[..len]).is_err(), "{len} bytes");
    }
}

// A100: whatever is flipped, nothing panics, and what passes has the form that is promised.
#[test]
fn flipped_bytes_never_panic() {
    let bytes = fixture::plugin();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    let mut one = |at: usize, bits: u8| {
        let mut flipped = bytes.clone();
        flipped[at] ^= bits;
        match inspect(&flipped) {
            Ok(facts) => assert!(facts.needed.iter().all(|name| OWN.provides(name))),
            Err(_) => refused += 1,
        }
    };
    for at in 0..2000 {
        one(numbers.below(bytes.len()), 1 << (at % 8));
    }
    // The headers, where every bit means something.
    for at in 0..1024 * 8 {
        one(at / 8, 1 << (at % 8));
    }
    let table = bytes.len() - 64 * 20;
    for at in table..bytes.len() {
        one(at, 0xff);
    }
    assert!(refused > 200, "{refused}");
}
