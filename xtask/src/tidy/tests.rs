//! Each rule finds its bad sample and leaves the good one alone; the tree itself is tidy.

use std::path::Path;

use super::source::Source;
use super::{Finding, check, check_source};

const HEADER: &str = "//! A sample.\n";

/// The rules that a sample breaks, as `rule@line`.
fn broken(path: &str, text: &str) -> Vec<String> {
    let findings = check_source(&Source::new(path, text));
    findings.iter().map(|finding| format!("{}@{}", finding.rule, finding.line)).collect()
}

fn expect(path: &str, body: &str, wanted: &[&str]) {
    assert_eq!(broken(path, &format!("{HEADER}{body}")), wanted, "{path}: {body}");
}

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (findings, files) = check(root).unwrap();
    let listed: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}", listed.join("\n"));
    assert!(files > 30, "only {files} files were read");
}

#[test]
fn imports_go_down_only() {
    let up = ["layers@2"];
    for body in [
        "use crate::cli::out;",
        "use crate::{ids::Digest, cli::out};",
        "use super::super::cli;",
        "fn f() { crate::manage::install(); }",
        "fn f() { log!(\"{}\", crate::workflow::NAME); }",
        "mod inner { use super::super::super::hooks::plan; }",
        "use crate::trust::Verdict;",
        "use crate::Host;",
    ] {
        expect("host/src/store/state.rs", body, &up);
    }
    for body in [
        "use crate::package::Index; use crate::code::Code;",
        "use super::layout; use super::super::wire;",
        "use crate::store::layout;",
        "use self::inner::Thing;",
        "// crate::cli is only a comment\nconst A: &str = \"crate::cli\";",
        "mod tests { use super::*; use super::super::layout; }",
        "#[cfg(test)]\nmod tests { use crate::cli::out; }",
    ] {
        expect("host/src/store/state.rs", body, &[]);
    }
    expect("host/src/sys/mount.rs", "use crate::text::safe_line;", &[]);
    expect("host/src/code.rs", "use crate::sys::mount;", &up);
    expect("host/src/newcomer.rs", "use crate::ids::Digest;", &up);
    expect("host/src/lib.rs", "pub use crate::cli::main;", &[]);
}

#[test]
fn cli_and_worker_stay_apart() {
    expect("host/src/cli/plugin.rs", "#![forbid(unsafe_code)]\nuse crate::worker::enter;", &["layers@3"]);
    for module in ["manage", "store", "trust", "cli"] {
        expect("host/src/worker/serve.rs", &format!("use crate::{module}::x;"), &["layers@2"]);
    }
    expect("host/src/worker/serve.rs", "use crate::wire::Frame;", &[]);
}

#[test]
fn pure_modules_reach_nothing_outside() {
    for body in [
        "use std::fs;",
        "use std::{fmt, env};",
        "fn f() { std::process::id(); }",
        "use std::time::{Duration, Instant};",
        "use std::time::*;",
        "fn f() { time::SystemTime::now(); }",
        "use crate::sys::clock;",
        "fn f() { getrandom::fill(&mut [0; 32]); }",
        "#[cfg(test)]\nfn g() {}\nuse std::fs;",
    ] {
        let line = body.lines().count() + 1;
        for path in ["host/src/package/index.rs", "host/src/trust/verdict.rs", "host/src/hooks/plan.rs"] {
            expect(path, body, &[&format!("pure@{line}")]);
        }
        assert!(broken("host/src/hooks/dispatch.rs", &format!("{HEADER}{body}")).is_empty(), "{body}");
    }
    expect("host/src/trust/keyring.rs", "use std::fs;", &[]);
    expect("host/src/policy/caps.rs", "use std::time::Duration; use std::io::Read; fn f(nix: u8) {}", &[]);
    expect("host/src/policy/caps.rs", "#[cfg(test)]\nmod tests { use std::fs; }", &[]);
    expect("host/src/policy/caps.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse std::fs;", &["pure@4"]);
}

#[test]
fn files_of_test_modules_are_known() {
    let file = |path: &str, body: &str| Source::new(path, &format!("{HEADER}{body}"));
    let mut sources = [
        file("host/src/policy/mod.rs", "#[cfg(test)]\nmod fixture;\nmod caps;"),
        file("host/src/policy/caps.rs", "#[cfg(test)]\nmod tests;"),
        file("host/src/policy/fixture.rs", "use std::fs;"),
        file("host/src/policy/fixture/deep.rs", "use std::fs;"),
        file("host/src/policy/caps/tests.rs", "use std::fs; use crate::cli::out;"),
        file("host/src/policy/fixture_two.rs", "use std::fs;"),
    ];
    super::source::mark_test_files(&mut sources);
    let marked: Vec<bool> = sources.iter().map(|source| source.for_tests).collect();
    assert_eq!(marked, [false, false, true, true, true, false]);
    assert_eq!(check_source(&sources[4]), []);
    assert_eq!(check_source(&sources[5]).len(), 1);
}

#[test]
fn unsafe_stands_where_it_is_expected() {
    let bad = "fn f() { unsafe { g() } }";
    expect("host/src/runtime/call.rs", bad, &["unsafe@2"]);
    expect("host/src/runtime/call.rs", "m! { unsafe fn f() {} }", &["unsafe@2"]);
    expect("host/src/runtime/call.rs", "#[unsafe(no_mangle)]\nfn f() {}", &["unsafe@2"]);
    expect("host/src/runtime/call.rs", "#![expect(unsafe_code, reason = \"no\")]", &["unsafe@2"]);
    expect("host/src/runtime/call.rs", "// unsafe\nconst A: &str = \"unsafe\";\n#[deny(unsafe_code)]\nfn f() {}", &[]);
    for path in [
        "host/src/sys/clone.rs",
        "host/src/worker/loader.rs",
        "plugin-macros/src/expand.rs",
        "plugin-api/src/private.rs",
        "tests/fixtures/hostile/src/lib.rs",
    ] {
        expect(path, bad, &[]);
    }
    for path in ["host/src/policy/mod.rs", "host/src/wire.rs", "xtask/src/main.rs"] {
        expect(path, "", &["unsafe@1"]);
        expect(path, "#![forbid(unsafe_code)]", &[]);
    }
}

#[test]
fn files_start_with_a_header() {
    for text in ["", "use a::b;", "//!\nfn f() {}", "// plain\n//! late", "\n//! late"] {
        assert_eq!(broken("tests/src/x.rs", text), ["header@1"], "{text}");
    }
}

#[test]
fn files_and_functions_have_a_size() {
    let lines = |count: usize| "const A: u8 = 1;\n".repeat(count);
    expect("host/src/text.rs", &lines(599), &[]);
    expect("host/src/text.rs", &lines(600), &["size@1"]);
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(590), lines(100));
    expect("host/src/text.rs", &tests, &[]);
    let early = format!("#[cfg(test)]\nmod tests {{\n{}}}\n{}", lines(100), lines(590));
    expect("host/src/text.rs", &early, &["size@1"]);

    let body = "    g();\n".repeat(79);
    let long = format!("fn f() {{\n{body}}}\n");
    expect("host/src/text.rs", &long, &["size@2"]);
    expect("host/src/text.rs", &format!("struct S;\nimpl S {{\n{long}}}\n"), &["size@4"]);
    expect("host/src/text.rs", &format!("// long: a table, one line per case\n#[test]\n{long}"), &[]);
    expect("host/src/text.rs", &format!("// long:\n{long}"), &["size@3"]);
    expect("host/src/text.rs", &format!("fn f() {{\n{}}}\n", "    g();\n".repeat(78)), &[]);
}

#[test]
fn leftovers_are_found() {
    for word in ["todo", "unimplemented"] {
        expect("tests/src/x.rs", &format!("fn f() {{ {word}!() }}"), &["words@2"]);
    }
    for word in [concat!("FIX", "ME"), concat!("XX", "X"), concat!("simplified ", "for now")] {
        expect("tests/src/x.rs", &format!("// {word}: later"), &["words@2"]);
        assert_eq!(broken("README.md", &format!("{word}\n")), ["words@1"]);
    }
    for home in [concat!("/ho", "me/jo/x"), concat!("/ho", "me/abc"), concat!("/ro", "ot/x"), concat!("/Use", "rs/jo")]
    {
        assert_eq!(broken("README.md", &format!("see {home}")), ["words@1"], "{home}");
    }
    expect("tests/src/x.rs", "const A: &str = \"name.XXXXXX\"; // /proc/self/root/x", &[]);
    expect(
        "tests/src/x.rs",
        concat!("const A: &str = \"/ho", "me/user/.ssh\"; const B: &str = \"/ho", "me/a\"; // /ho", "me/"),
        &[],
    );
}

#[test]
fn ignored_tests_have_a_reason() {
    expect("tests/src/x.rs", "#[test]\n#[ignore]\nfn f() {}", &["ignored@3"]);
    expect("tests/src/x.rs", "#[test]\n#[ignore = \"needs ten minutes\"]\nfn f() {}", &[]);
}

#[test]
fn a_file_that_does_not_parse_is_a_finding() {
    expect("tests/src/x.rs", "fn f( {", &["parse@2"]);
}

#[test]
fn a_finding_says_where_and_what_to_do() {
    let source = Source::new("a/b.rs", "");
    let text = Finding::new(&source, 7, "size", "split it").to_string();
    assert_eq!(text, "a/b.rs:7: size: split it");
}
