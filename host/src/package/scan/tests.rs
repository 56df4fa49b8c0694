//! What a reader would stop at, one case each; rates over many scripts are measured by the end-to-end tests.

use std::collections::BTreeSet;

use super::*;
use crate::package::{elf, fixture};

fn python(text: &str) -> Vec<Rule> {
    rules(scan_python("a.py", text.as_bytes(), &BTreeSet::from(["mine"]), false))
}

/// The rules that were found, each once in a row.
fn rules(found: Vec<Finding>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = found.into_iter().map(|found| found.rule).collect();
    rules.dedup();
    rules
}

fn bash(text: &str) -> Vec<Rule> {
    rules(scan_bash("a.sh", text.as_bytes()))
}

/// One test for each name of the list: each way to import it passes, and what looks like it does not.
macro_rules! listed {
    ($($test:ident $name:literal),* $(,)?) => {
        $(
            // covers: S60, S61, S62, S103
            #[test]
            fn $test() {
                for text in [
                    format!("import {}\n", $name),
                    format!("import {} as x\n", $name),
                    format!("from {} import x\n", $name),
                    format!("import {}.inner\n", $name),
                ] {
                    assert!(!python(&text).contains(&Rule::Import), "{text}");
                }
                for text in [format!("import x{}\n", $name), format!("from {}_ import x\n", $name)] {
                    assert_eq!(python(&text), [Rule::Import], "{text}");
                }
            }
        )*
        #[test]
        fn every_name_of_the_list_has_a_test() {
            let tested: BTreeSet<&str> = BTreeSet::from([$($name),*]);
            let listed: BTreeSet<&str> = ALLOWED_MODULES.into_iter().chain(["subprocess"]).collect();
            assert_eq!(tested, listed);
        }
    };
}

listed! {
    imports_json "json", imports_os "os", imports_sys "sys", imports_time "time", imports_datetime "datetime",
    imports_re "re", imports_urllib_parse "urllib.parse", imports_collections "collections",
    imports_itertools "itertools", imports_math "math", imports_random "random", imports_string "string",
    imports_pathlib "pathlib", imports_shutil "shutil", imports_hashlib "hashlib", imports_base64 "base64",
    imports_uuid "uuid", imports_enum "enum", imports_dataclasses "dataclasses", imports_functools "functools",
    imports_operator "operator", imports_statistics "statistics", imports_decimal "decimal",
    imports_fractions "fractions", imports_array "array", imports_heapq "heapq", imports_bisect "bisect",
    imports_copy "copy", imports_pprint "pprint", imports_csv "csv", imports_zipfile "zipfile", imports_gzip "gzip",
    imports_fileinput "fileinput", imports_io "io", imports_codecs "codecs", imports_ast "ast",
    imports_inspect "inspect", imports_site "site", imports_tokenize "tokenize", imports_token "token",
    imports_traceback "traceback", imports_warnings "warnings", imports_weakref "weakref", imports_gc "gc",
    imports_atexit "atexit", imports_logging "logging", imports_subprocess "subprocess",
}

#[test]
fn of_urllib_only_parse_is_listed() {
    for (text, good) in [
        ("import urllib.parse\n", true),
        ("from urllib import parse\n", true),
        ("from urllib.parse import quote\n", true),
        ("import urllib.request\n", false),
        ("from urllib import request\n", false),
        ("from urllib.request import urlopen\n", false),
        ("import urllib\n", false),
        ("from urllib import *\n", false),
        ("from urllib import parse, request\n", false),
        ("import json, socket\n", false),
        ("def f():\n    import socket as json\n", false),
        ("from . import other\n", true),
        ("from .other import thing\n", true),
        ("import mine.part\n", true),
        ("import numpy\n", false),
    ] {
        let expected = if good { Vec::new() } else { vec![Rule::Import] };
        assert_eq!(python(text), expected, "{text}");
    }
}

#[test]
fn names_are_followed_to_their_module() {
    for (text, expected) in [
        ("import os\nos.system('a')\n", &[Rule::Program][..]),
        ("import os as o\nf = o.system\nf('a')\n", &[Rule::Program]),
        ("from os import system as f\nf('a')\n", &[Rule::Program]),
        ("import os\nos.path.join('a', 'b')\n", &[]),
        ("import os\nos.remove('a')\n", &[]),
        ("import subprocess\nsubprocess.run(['a'])\n", &[Rule::Program]),
        ("import subprocess\nx = subprocess.PIPE\n", &[]),
        ("import re\nre.compile('a')\n", &[]),
        ("compile('a', 'b', 'exec')\n", &[Rule::Dynamic]),
        ("x = eval\n", &[Rule::Dynamic]),
        ("def f(eval=1): pass\n", &[]),
        ("x.__subclasses__()\n", &[Rule::Interpreter]),
        ("getattr(x, '__globals__')\n", &[Rule::Interpreter]),
        ("import os\ngetattr(os, name)\n", &[Rule::Dynamic]),
        ("getattr(self, name)\n", &[]),
        ("import sys\nprint(sys.argv, sys.stderr)\n", &[]),
        ("open('/home/a/.ssh/id')\n", &[Rule::Place]),
        ("# -*- coding: latin-1 -*-\n", &[Rule::Hidden]),
        ("# coding: utf-8\n", &[]),
        ("x = '\u{202e}'\n", &[Rule::Hidden]),
        ("def f(:\n", &[Rule::Syntax]),
        ("print 'a'\n", &[Rule::Syntax]),
    ] {
        assert_eq!(python(text), expected, "{text}");
    }
    let asked = scan_python("a.py", b"import os\nos.system('a')\n", &BTreeSet::new(), true);
    assert_eq!(asked, [], "it asks for exec");
}

#[test]
fn commands_are_known_under_every_spelling() {
    for (text, expected) in [
        ("curl x\n", &[Rule::Network][..]),
        ("/usr/bin/curl x\n", &[Rule::Network]),
        ("c\\url x\n", &[Rule::Network]),
        ("'curl' x\n", &[Rule::Network]),
        ("c'u'\"rl\" x\n", &[Rule::Network]),
        ("command curl x\n", &[Rule::Network]),
        ("env -i A=1 curl x\n", &[Rule::Network]),
        ("timeout 5 curl x\n", &[Rule::Network]),
        ("x=$(curl x)\n", &[Rule::Network]),
        ("echo curl\n", &[]),
        ("$x y\n", &[Rule::Dynamic]),
        ("\"$@\"\n", &[]),
        ("rm -rf /\n", &[Rule::Destructive]),
        ("rm -rf \"$x/y\"\n", &[]),
        ("rm -f \"$x\"\n", &[]),
        ("chmod 4755 x\n", &[Rule::Privilege]),
        ("chmod 0644 x\n", &[]),
        ("chmod o+w x\n", &[Rule::Privilege]),
        ("echo a > /dev/null\n", &[]),
        ("echo a > /etc/hosts\n", &[Rule::Place]),
        ("if true; then\n", &[Rule::Syntax]),
    ] {
        assert_eq!(bash(text), expected, "{text}");
    }
}

// What is nested without end, and what is large, ends at once and is told; the stack does not grow.
#[test]
fn no_script_is_too_much_for_the_parser() {
    for (open, close) in [("(", ")"), ("[", "]"), ("f(", ")"), ("not ", ""), ("-", "")] {
        let deep = format!("x = {}1{}\n", open.repeat(100_000), close.repeat(100_000));
        assert!(python(&deep).contains(&Rule::Hidden), "{open}");
    }
    for (open, close) in [("$(", ")"), ("(", ")"), ("{ ", ";}"), ("${x:-", "}"), ("if ", "")] {
        let deep = format!("{}echo{}\n", open.repeat(50_000), close.repeat(50_000));
        assert!(!bash(&deep).is_empty(), "{open}");
    }
    assert_eq!(python(&"x = 1\n".repeat(200_000)), [Rule::Hidden]);
    assert_eq!(scan_bash("a", b"\xff\xfe",).len(), 1);
    assert_eq!(scan_bash("a", "curl x\n".repeat(1000).as_bytes()).len(), FINDINGS_MAX);
}

#[test]
fn every_script_of_a_plugin_is_looked_at() {
    let text = "name: a\nversion: 1.0.0\nhooks:\n  - {event: post-command, script: 'curl x', on_error: {type: bash, file: h}}\n\
                commands: [{name: b, handler: {type: executable, program: t.pl, interpreter: perl}}]\n";
    let manifest = crate::package::manifest::parse_yaml(text.as_bytes()).unwrap();
    let files: [(&str, &[u8]); 5] =
        [("h", b"sudo id"), ("t.pl", b"system 'x'"), ("x/y.py", b"import q, x"), ("README", b"curl"), ("z.sh", b"")];
    let found = scan(&manifest, "plugin.yaml", files.into_iter());
    let lines: Vec<_> = found.findings.iter().map(|found| (found.file.as_str(), found.rule.as_str())).collect();
    assert_eq!(lines, [("h", "privilege"), ("plugin.yaml hooks[0]", "network"), ("x/y.py", "import")]);
    assert_eq!(found.scanned, ["plugin.yaml hooks[0]", "h", "x/y.py", "z.sh"]);
    assert_eq!(found.not_scanned, ["t.pl"]);
}

// The lint and the check at run time are two programs; what one of them lets pass the other must not refuse.
#[test]
fn the_runner_knows_the_same_modules() {
    let runner = include_str!("../../worker/script/python/runner.py");
    let (_, list) = runner.split_once("ALLOWED = frozenset(\"\"\"").unwrap();
    let (whole, rest) = list.split_once("\"\"\".split())").unwrap();
    let (_, parts) = rest.split_once("ALLOWED_PARTS = frozenset({").unwrap();
    let (parts, _) = parts.split_once("})").unwrap();
    let parts = parts.split(", ").map(|part| part.trim_matches('"'));
    let of_runner: BTreeSet<&str> = whole.split_whitespace().chain(parts).collect();
    let of_lint: BTreeSet<&str> =
        ALLOWED_MODULES.iter().copied().chain([python::STARTS_PROGRAMS]).chain(python::ALWAYS).collect();
    assert_eq!(of_lint, of_runner);
}

/// The rules and severities of what is found in a library that the C compiler makes.
fn found_in(flags: &[&str], more: &str, permissions: &[&str]) -> Vec<(Rule, Severity)> {
    let flags = [&["-shared", "-fPIC"], flags].concat();
    let library = fixture::library(fixture::MANIFEST, &flags, more);
    let permissions: Vec<_> = permissions.iter().map(|text| text.parse().unwrap()).collect();
    let scan = scan_library("libx.so", &elf::inspect(&library).unwrap(), &permissions);
    assert_eq!(scan.scanned, ["libx.so"]);
    assert!(scan.findings.iter().all(|finding| finding.line == 0 && !finding.message.contains('\n')));
    scan.findings.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
}

#[test]
fn a_library_says_how_it_is_protected() {
    let hard = ["-Wl,-z,relro,-z,now", "-fstack-protector-all"];
    let frames = "int f(void) { char b[64]; b[0] = (char)rand(); return b[0]; }";
    assert_eq!(found_in(&hard, frames, &[]), []);
    let soft = ["-Wl,-z,norelro,-z,lazy", "-fno-stack-protector"];
    let warning = (Rule::Hardening, Severity::Warning);
    assert_eq!(found_in(&soft, frames, &[]), [warning, warning, (Rule::Hardening, Severity::Note)]);
}

#[test]
fn a_library_says_what_it_imports() {
    let hard = ["-Wl,-z,relro,-z,now", "-fstack-protector-all"];
    let uses = |code: &str| {
        let source = format!(
            "extern int execve(), fork(), socket(), dlopen(), mprotect(), ptrace(), setuid();\n\
            int f(void) {{ char b[64]; b[0] = (char)rand(); return {code} + b[0]; }}"
        );
        found_in(&[&hard[..], &["-w", "-fno-builtin"]].concat(), &source, &[])
    };
    assert_eq!(uses("rand()"), []);
    for (code, rule, severity) in [
        ("execve()", Rule::Program, Severity::Warning),
        ("system(\"id\")", Rule::Program, Severity::Warning),
        ("fork()", Rule::Program, Severity::Warning),
        ("socket()", Rule::Network, Severity::Warning),
        ("dlopen()", Rule::Dynamic, Severity::Warning),
        ("mprotect()", Rule::Dynamic, Severity::Note),
        ("ptrace()", Rule::Privilege, Severity::Warning),
        ("setuid()", Rule::Privilege, Severity::Warning),
    ] {
        assert_eq!(uses(code), [(rule, severity)], "{code}");
    }
    // Who asks for it may well have it beside the host's own way.
    let source = "extern int socket(); int f(void) { char b[64]; b[0] = (char)rand(); return socket() + b[0]; }";
    let asked = found_in(&[&hard[..], &["-w"]].concat(), source, &["network=tcp:example.com:443"]);
    assert_eq!(asked, [(Rule::Network, Severity::Note)]);
}
