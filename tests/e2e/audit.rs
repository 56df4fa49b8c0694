//! The scan of scripts: rates over a corpus, and what the command line shows of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use migraine_host::package::scan::{Finding, scan_bash, scan_python};
use migraine_tests::home::Home;
use migraine_tests::package::{plugin, typed};
use migraine_tests::terminal::converse;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/scripts");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// The least share of bad scripts that are found, and the largest of harmless ones that are, in percent.
const FOUND_MIN: usize = 90;
const WRONG_MAX: usize = 5;

fn scripts(kind: &str) -> Vec<PathBuf> {
    let listing = fs::read_dir(Path::new(CORPUS).join(kind)).unwrap();
    let mut paths: Vec<_> = listing.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn findings(path: &Path) -> Vec<Finding> {
    let (name, content) = (path.file_name().unwrap().to_str().unwrap(), fs::read(path).unwrap());
    match path.extension().unwrap().to_str() {
        Some("py") => scan_python(name, &content, &BTreeSet::new(), false),
        _ => scan_bash(name, &content),
    }
}

// covers: S135, S159
#[test]
fn bad_scripts_are_found_and_harmless_ones_are_not() {
    let (bad, harmless) = (scripts("bad"), scripts("harmless"));
    assert!(bad.len() >= 40 && harmless.len() >= 40, "{} bad, {} harmless", bad.len(), harmless.len());
    let missed: Vec<_> = bad.iter().filter(|path| findings(path).is_empty()).collect();
    let wrong: Vec<_> = harmless.iter().map(|path| findings(path)).filter(|found| !found.is_empty()).collect();
    let found = bad.len() - missed.len();
    eprintln!("scan: {found} of {} bad scripts found, not {missed:?}", bad.len());
    eprintln!("scan: {} of {} harmless scripts found: {wrong:?}", wrong.len(), harmless.len());
    assert!(found * 100 >= FOUND_MIN * bad.len(), "missed: {missed:?}");
    assert!(wrong.len() * 100 <= WRONG_MAX * harmless.len(), "wrong: {wrong:?}");
}

#[test]
fn a_script_is_read_and_never_run() {
    let home = Home::new();
    let script = home.write("a.py", "import socket\nopen('ran', 'w')\n");
    home.write("b.sh", "echo > ran\ncurl x\n");
    let report = home.json(&["plugin", "audit", typed(&script)]);
    assert_eq!(report["findings"][0]["rule"], "import");
    assert_eq!(report["findings"][0]["line"], 1);
    home.ok(&["plugin", "audit", "b.sh"]).says(&["b.sh:2 network: `curl` reaches the network", "1 finding;"]);
    assert!(!home.work().join("ran").exists());
    home.write("broken.py", "def f(:\n");
    home.ok(&["plugin", "audit", "./broken.py"]).says(&["broken.py:1 syntax:"]);
    home.refused(&["plugin", "audit", "absent.py"], "file_not_found");
    home.refused(&["plugin", "audit", "absent"], "plugin_not_found");
    let hostile = home.write("c.py", "import x\u{1b}\n");
    home.ok(&["plugin", "audit", typed(&hostile)]).never_says(&["\u{1b}"]);
}

#[test]
fn findings_are_shown_before_anything_is_allowed() {
    let home = Home::new();
    home.write("p/plugin.yaml", "name: p\nversion: 1.0.0\nhooks:\n  - {event: post-command, script: 'eval \"$X\"'}\n");
    home.write("p/helper.py", "import ctypes\n");
    let line = ["plugin", "install", "./p", "--allow-unsigned"];
    let done = converse(&home, &line, &[], &[("[y/N]", "y\n")]);
    done.ends(0).says(&["plugin.yaml hooks[0]:1 dynamic:", "helper.py:1 import: it imports `ctypes`", "Allow this?"]);
    let found = done.out.find("helper.py:1").unwrap();
    assert!(found < done.out.find("Allow this?").unwrap(), "{done:?}");
    let report = home.json(&["plugin", "audit", "p"]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 2, "{report}");
    let report = home.json(&[&line[..], &["--yes"]].concat());
    assert_eq!(report["findings"][0]["file"], "helper.py", "{report}");
}

#[test]
fn nothing_is_said_of_a_library() {
    let parcel = plugin("hello-world");
    let report = Home::bare().json(&["plugin", "audit", typed(&parcel.package())]);
    assert_eq!(report["scanned"].as_array().unwrap().len(), 0);
    assert_eq!(report["not_scanned"][0], "libhello_world.so");
}

#[test]
fn the_examples_are_without_findings() {
    let home = Home::new();
    for name in ["log-processor/log-processor.yaml", "server-monitor", "notification", "file-operations", "line-stats"]
    {
        let report = home.json(&["plugin", "audit", &format!("{EXAMPLES}/{name}")]);
        assert_eq!(report["findings"].as_array().unwrap().len(), 0, "{report}");
        let unread = report["not_scanned"].as_array().unwrap().len();
        assert_eq!(unread, usize::from(name == "line-stats"), "{report}");
    }
}
