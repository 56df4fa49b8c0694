//! The scan of scripts: rates over a corpus, and what the command line shows of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use migraine_host::package::scan::{Finding, scan_bash, scan_python};
use migraine_tests::home::Home;
use migraine_tests::package::{manifest, plugin, tiny, typed};
use migraine_tests::terminal::converse;
use serde_json::json;

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

// covers: S134, S155, S156, S157, S158
#[test]
fn everything_is_said_of_a_library() {
    let parcel = plugin("hello-world");
    let report = Home::bare().json(&["plugin", "audit", typed(&parcel.package())]);
    assert_eq!(report["scanned"], json!(["libhello_world.so"]));
    assert_eq!(
        (&report["trust"]["signature"]["kind"], &report["trust"]["sandbox"]),
        (&json!("not_trusted"), &json!(["full"]))
    );
    assert!(report["trust"]["problem"].as_str().unwrap().starts_with("untrusted_key"), "{report}");
    let home = Home::new();
    home.install(&parcel);
    let report = home.json(&["plugin", "audit", "hello-world"]);
    let trust = &report["trust"];
    assert_eq!(
        (&trust["level"], &trust["scopes"], &trust["status"]),
        (&json!("trusted"), &json!(["*"]), &json!("enabled"))
    );
    assert!(trust["signature"]["key"].as_str().unwrap().starts_with("ed25519:"), "{report}");
    let text = home.ok(&["plugin", "audit", "hello-world"]);
    text.says(&["signed by tests (ed25519:", "trusted, for *", "enabled, installed ", "sandbox       full"]);
}

#[test]
fn what_it_asks_for_and_may_do_is_said() {
    let home = Home::new();
    let manifest = manifest(
        "tt",
        &json!({
            "commands": [{"name": "go", "description": "Goes", "timeout": 600}, {"name": "quick", "description": "Fast"}],
            "hooks": [{"event": "pre-command", "pattern": "^make ", "priority": 7}],
            "permissions": ["task_read", "env_vars=HOME"],
        }),
    );
    let parcel = tiny(&manifest);
    let path = parcel.typed();
    let of_file = home.ok(&["plugin", "audit", path]);
    of_file.says(&[
        "asks for      task_read",
        "asks for      env_vars=HOME",
        "hook          pre-command matching `^make `, priority 7",
    ]);
    of_file.says(&["time          go asks for 600 seconds\n"]).never_says(&["granted", "quick", "can  ", "limit  "]);
    let report = home.json(&["plugin", "audit", path]);
    assert_eq!((&report["permissions"], &report["rules"]), (&json!(["task_read", "env_vars=HOME"]), &json!(null)));
    assert_eq!(
        (&report["hooks"][0]["priority"], &report["commands"][0]["timeout"]),
        (&json!(7), &json!(600)),
        "{report}"
    );
    home.ok(&["plugin", "install", path, "--yes"]);
    let installed = home.ok(&["plugin", "audit", "tt"]);
    installed.says(&["granted       task_read", "asks for      env_vars=HOME", "hook          pre-command matching"]);
    installed.says(&[
        "go asks for 600 seconds: granted",
        "can           see every command whose text matches `^make ` before it runs",
    ]);
    installed.says(&[
        "limit         memory: 64 MiB",
        "limit         time of `go`: 600 s",
        "cannot        connect to anything",
    ]);
    let report = home.json(&["plugin", "audit", "tt"]);
    assert_eq!(report["commands"][0]["granted_timeout"], 600, "{report}");
    assert!(report["rules"]["limits"].as_array().unwrap().iter().any(|limit| limit["what"] == "memory"), "{report}");
    // What is in force changes with the grants; what it asks for does not.
    home.ok(&["plugin", "revoke", "tt", "env_vars=HOME"]);
    let after = home.ok(&["plugin", "audit", "tt"]);
    after.says(&["asks for      env_vars=HOME"]).never_says(&["granted       env_vars"]);
    // It is said of what is damaged as well.
    let tree = home.snapshot().into_keys().find(|file| file.ends_with("libtiny.so")).unwrap();
    fs::set_permissions(&tree, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&tree, "damaged").unwrap();
    home.run(["plugin", "audit", "tt"]).ends(3).says(&["hook          pre-command", "asks for      task_read"]);
}

/// A library of C code with these functions beside its manifest.
fn library(home: &Home, flags: &[&str], functions: &str) -> String {
    let manifest =
        r#"{"name":"demo","version":"1.0.0","api_version":"1.0","description":"d","license":"MIT","commands":["go"]}"#;
    let bytes: Vec<String> = manifest.bytes().map(|byte| byte.to_string()).collect();
    let section = r#"__attribute__((section(".migraine.manifest"), used))"#;
    let bytes = bytes.join(",");
    let source =
        home.write("demo.c", &format!("{section} static const unsigned char m[] = {{{bytes}}};\n{functions}\n"));
    let library = home.work().join("libdemo.so");
    let mut gcc = std::process::Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-w", "-Wl,-z,relro,-z,now", "-fstack-protector-all"]).args(flags);
    assert!(gcc.arg("-o").arg(&library).arg(source).status().unwrap().success());
    typed(&library).to_owned()
}

// covers: S134, S135, S159
#[test]
fn what_a_library_takes_from_the_system_is_shown_before_anything_is_allowed() {
    let home = Home::new();
    let run = "int run(void) { char b[9]; b[0] = system(\"id\"); return fork() + b[0]; }";
    let file = library(&home, &["-Wl,-z,lazy"], run);
    let report = home.json(&["plugin", "audit", &file]);
    let rules: Vec<_> = report["findings"].as_array().unwrap().iter().map(|found| &found["rule"]).collect();
    assert_eq!(rules, ["hardening", "program"], "{report}");
    assert!(report["findings"][1]["message"].as_str().unwrap().contains("`fork`, `system`"), "{report}");
    assert_eq!(report["findings"][1]["severity"], "warning");
    let line = ["plugin", "install", &file, "--allow-unsigned"];
    let done = home.ok(&[&line[..], &["--yes"]].concat());
    done.says(&["libdemo.so program: it imports `fork`, `system`"]);
}

#[test]
fn what_is_refused_is_an_error_and_ends_so() {
    let home = Home::new();
    let file = library(&home, &["-Wl,-rpath,/tmp/x"], "int f(void) { return 1; }");
    let done = home.run(["--format", "json", "plugin", "audit", &file]);
    done.ends(3);
    let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(report["checks"][0]["severity"], "error", "{report}");
    assert!(report["checks"][0]["message"].as_str().unwrap().contains("[elf_dynamic]"), "{report}");
    home.refused(&["plugin", "install", &file, "--allow-unsigned", "--yes"], "elf_dynamic");
    // A policy that came later, and a file that was changed: seen without an argument, beside what is in order.
    home.install(&plugin("hello-world"));
    home.install(&plugin("hooks"));
    home.ok(&["plugin", "audit"]).says(&["hello-world", "hooks"]);
    let digest = home.json(&["plugin", "info", "hooks"])["digest"].as_str().unwrap().to_owned();
    let index = home.path().join("store").join(digest).join("index");
    fs::set_permissions(&index, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&index, "migraine-index 1\n").unwrap();
    let done = home.run(["--format", "json", "plugin", "audit"]);
    done.ends(3);
    let all: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let names: Vec<_> = all["plugins"].as_array().unwrap().iter().map(|report| &report["name"]).collect();
    assert_eq!(names, ["hello-world", "hooks"]);
    assert!(all["plugins"][1]["checks"][0]["message"].as_str().unwrap().contains("[integrity]"), "{all}");
}

#[test]
fn permissions_and_policy_are_stages_of_their_own() {
    let home = Home::new();
    home.write("p/plugin.yaml", "name: p\nversion: 1.0.0\nlicense: MIT\npermissions: [network, env_vars=TOKEN]\nhooks: [{event: post-command, script: 'echo a'}]\n");
    let report = home.json(&["plugin", "audit", "./p"]);
    let rules: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|found| found["rule"].as_str().unwrap()).collect();
    assert_eq!(rules.first(), Some(&"manifest"), "{report}");
    assert!(rules.contains(&"permission") && !rules.contains(&"policy"), "{report}");
    fs::write(home.path().join("policy.yaml"), "permissions: {network: []}\n").unwrap();
    let done = home.run(["--format", "json", "plugin", "audit", "./p"]);
    done.ends(3);
    let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["rule"] == "policy").unwrap();
    assert_eq!(found["severity"], "error");
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

/// A cloned project cannot show a harmless plugin in the place of the installed one; neither can a source be compared with
/// its file.
#[test]
fn a_name_means_what_is_installed_whatever_lies_in_the_directory() {
    let home = Home::new();
    let parcel = |version: &str| tiny(&manifest("demo", &json!({"version": version})));
    home.install(&parcel("1.0.0"));
    fs::copy(parcel("9.0.0").package(), home.work().join("demo")).unwrap();
    assert_eq!(home.json(&["plugin", "audit", "demo"])["version"], "1.0.0");
    assert_eq!(home.json(&["plugin", "audit", "./demo"])["version"], "9.0.0");
    fs::remove_file(home.work().join("demo")).unwrap();
    let script = json!({"name": "demo", "version": "9.0.0", "commands": [{"name": "go", "handler": {"type": "bash", "script": "true"}}]});
    home.write("demo/plugin.yaml", &script.to_string());
    assert_eq!(home.json(&["plugin", "audit", "demo"])["version"], "1.0.0");
    home.write("demo.py", "import socket\n");
    assert_eq!(home.json(&["plugin", "audit", "demo.py"])["name"], "demo.py");
}
