//! Scripts in files: both forms of authoring, the package, and what is refused on the way.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use migraine_tests::home::Home;
use migraine_tests::package::{key, typed};
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
const MANIFEST: &str = "name: p\nversion: 1.0.0\npermissions: []\nhooks:\n  - event: post-command\n    handler: {type: python, module: m, function: f}\n";

fn example(home: &Home, from: &str, to: &str) {
    let text = fs::read_to_string(Path::new(EXAMPLES).join(from)).unwrap();
    home.write(to, &text);
}

/// The first document's plugin in the folder `plugins` of the working directory, as it stands there.
fn seed() -> Home {
    let home = Home::new();
    for file in ["log-processor.yaml", "log_processor.py"] {
        example(&home, &format!("log-processor/{file}"), &format!("plugins/{file}"));
    }
    home
}

fn plain() -> Home {
    let home = Home::new();
    home.write("p/plugin.yaml", MANIFEST);
    home.write("p/m.py", "def f(plugin_config, context):\n    return {}\n");
    home
}

fn key_file(home: &Home) -> String {
    let path = home.write("author.key", &key().render_plain().unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    typed(&path).to_owned()
}

// covers: S4, S7, S8, S9, S10, S11, S12, S13, S14, S15, S16, S17, S19, S20, S98, C3
#[test]
fn the_plugin_of_the_first_document_is_installed_by_the_letter() {
    let home = seed();
    let source = "plugins/log-processor.yaml";
    let error = home.refused(&["plugin", "install", source, "--yes"], "signature_missing");
    assert!(error["help"].as_str().unwrap().contains("migraine plugin package"), "{error}");
    // Without a key `permissions` it asks for the directory of its log, and consent says so.
    let error = home.refused(&["plugin", "install", source, "--allow-unsigned"], "consent_required");
    let work = home.work().canonicalize().unwrap();
    let wanted = format!("filesystem=write:{}", work.display());
    assert!(error.to_string().contains(&wanted), "{error}");
    home.ok(&["plugin", "install", source, "--allow-unsigned", "--yes", "--grant", "filesystem=write:."]);
    let info = home.json(&["plugin", "info", "log-processor"]);
    assert_eq!((&info["status"], &info["kind"]), (&json!("enabled"), &json!("script")));
    assert_eq!(info["runs"], json!(["bash", "python"]));
    assert_eq!(info["files"], json!(["log-processor.yaml", "log_processor.py"]));
    assert_eq!(info["grants"], json!([wanted]));
    home.ok(&["plugin", "info", "log-processor"]).says(&["script: bash, python", "log_processor.py"]);
    home.ok(&["plugin", "verify", "log-processor"]).says(&["compared   2 files"]);
    // The exception is for exactly these bytes.
    home.ok(&["plugin", "install", source, "--yes"]);
    home.write("plugins/log_processor.py", "def process_log(plugin_config, context):\n    return {}\n");
    home.refused(&["plugin", "install", source, "--yes"], "signature_missing");
}

// covers: S20, S109
#[test]
fn settings_stay_what_the_manifest_says() {
    let home = seed();
    let source = "plugins/log-processor.yaml";
    home.ok(&["plugin", "install", source, "--allow-unsigned", "--yes"]);
    let set = |key: &str, value: &str| home.run(["plugin", "config", "log-processor", "set", key, value]);
    set("max_file_size", "5KB").ends(0);
    for bad in ["5", "5kb", "ten MB", "-5MB"] {
        assert_eq!(
            home.word(["plugin", "config", "log-processor", "set", "max_file_size", "--", bad]),
            "value_invalid"
        );
    }
    // Another directory is another grant.
    let elsewhere = home.work().parent().unwrap().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let log = elsewhere.join("x.log");
    let set = |key: &str, value: &str| home.word(["plugin", "config", "log-processor", "set", key, value]);
    assert_eq!(set("log_file", typed(&log)), "consent_required");
    home.ok(&["plugin", "config", "log-processor", "set", "log_file", typed(&log), "--yes"]);
    let grants = home.json(&["plugin", "info", "log-processor"])["grants"].to_string();
    assert!(grants.contains("/elsewhere"), "{grants}");
    let text = fs::read_to_string(home.work().join(source)).unwrap();
    home.write(source, &text.replace("10MB", "ten"));
    home.refused(&["plugin", "install", source, "--allow-unsigned"], "manifest_invalid");
}

// covers: S73, S74, S75, S76, S108, S117
#[test]
fn scripts_are_signed_without_a_toolchain() {
    let home = plain();
    for (file, text) in [
        ("Dockerfile", "FROM debian\n"),
        ("README.md", "# p\n"),
        ("LICENSE", "MIT\n"),
        ("CHANGELOG.md", "1.0.0\n"),
        ("config.example", "a: b\n"),
        ("tests/test_m.py", "import m\n"),
        (".gitignore", "x\n"),
    ] {
        home.write(&format!("p/{file}"), text);
    }
    let key = key_file(&home);
    let report = home.json(&["plugin", "package", "p", "--key", &key]);
    assert_eq!(report["path"], "./p-1.0.0.mgp");
    assert_eq!(report["left_out"], json!([".gitignore"]));
    let files = json!([
        "CHANGELOG.md",
        "Dockerfile",
        "LICENSE",
        "README.md",
        "config.example",
        "m.py",
        "plugin.yaml",
        "tests/test_m.py"
    ]);
    assert_eq!(report["files"], files);
    let package = home.work().join("p-1.0.0.mgp");
    let first = fs::read(&package).unwrap();
    let again = ["plugin", "package", "p/plugin.yaml", "--key", &key, "--out", "."];
    home.ok(&again).says(&["migraine key trust", "unchanged"]);
    assert_eq!(fs::read(&package).unwrap(), first, "the same files give the same bytes");
    // Other bytes under a version that was handed out are what nobody takes who has it.
    for text in ["# other\n", "# q\n"] {
        home.write("p/README.md", text);
        let error = home.refused(&again, "value_invalid");
        assert!(error["message"].as_str().unwrap().contains("holds something else under the same version"), "{error}");
        assert_eq!(fs::read(&package).unwrap(), first);
    }
    home.ok(&[&again[..], &["--force"]].concat()).says(&["packaged\n"]).never_says(&["unchanged"]);
    assert_ne!(fs::read(&package).unwrap(), first);
    home.write("p/README.md", "# p\n");
    assert_eq!(home.json(&[&again[..], &["--force"]].concat())["changed"], true);
    assert_eq!(home.json(&again)["changed"], false);
    assert_eq!(fs::read(&package).unwrap(), first);
    let info = home.json(&["plugin", "info", "./p-1.0.0.mgp"]);
    assert_eq!((&info["files"], &info["signature"]["kind"]), (&files, &json!("signed")));
    home.ok(&["plugin", "info", "./p-1.0.0.mgp"]).says(&["Dockerfile", "tests/test_m.py"]);
    home.ok(&["plugin", "install", "./p-1.0.0.mgp", "--yes"]);
    assert_eq!(home.status("p"), "enabled");
    Home::bare().refused(&["plugin", "install", typed(&package)], "untrusted_key");
    // A byte of a script that is changed after it was signed.
    home.refused(&["plugin", "package", "p"], "file_not_found");
    let store = home.path().join("store").join(home.json(&["plugin", "info", "p"])["digest"].as_str().unwrap());
    let script = store.join("files/m.py");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&script, "def f(plugin_config, context):\n    return 1 \n").unwrap();
    home.refused(&["plugin", "verify", "p"], "integrity");
}

// covers: A140, A176
#[test]
fn what_nobody_has_looked_at_stays_outside() {
    let check = |what: &str, code: &str, part: &str, change: &dyn Fn(&Home)| {
        let home = plain();
        change(&home);
        let before = home.snapshot();
        let error = home.refused(&["plugin", "install", "p", "--allow-unsigned", "--yes"], code);
        assert!(error["message"].as_str().unwrap().contains(part), "{what}: {error}");
        assert_eq!(home.snapshot(), before, "{what}");
        let key = key_file(&home);
        home.refused(&["plugin", "package", "p", "--key", &key], code);
        assert!(!home.work().join("p-1.0.0.mgp").exists(), "{what}");
    };
    let invalid = "package_invalid";
    check("compiled", invalid, "__pycache__", &|home| drop(home.write("p/__pycache__/m.cpython-311.pyc", "")));
    check("compiled beside", invalid, "m.pyc", &|home| drop(home.write("p/m.pyc", "")));
    check("path file", invalid, "x.pth", &|home| drop(home.write("p/x.pth", "import os\n")));
    check("library", invalid, "x.so", &|home| drop(home.write("p/x.so", "")));
    check("program", invalid, "tool", &|home| drop(home.write("p/tool", "\x7fELF")));
    check("name", "entry_path", "no path of a package", &|home| drop(home.write("p/a b.py", "")));
    check("option", "entry_path", "no path of a package", &|home| drop(home.write("p/-rf", "")));
    check("link", invalid, "symbolic link", &|home| symlink("/etc/passwd", home.work().join("p/x.txt")).unwrap());
    check("linked directory", invalid, "symbolic link", &|home| symlink("/etc", home.work().join("p/x")).unwrap());
    check("fifo", "io", "not a regular file", &|home| {
        nix::unistd::mkfifo(&home.work().join("p/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    check("two manifests", "manifest_invalid", "one of these must go", &|home| {
        drop(home.write("p/plugin.json", "{}"));
    });
    check("no module", "manifest_invalid", "module `m` is missing", &|home| {
        fs::remove_file(home.work().join("p/m.py")).unwrap();
    });
    check("only described", "not_a_plugin", "holds no code", &|home| {
        drop(home.write("p/plugin.yaml", "name: p\nversion: 1.0.0\ncommands: [a]\n"));
    });
    let edit = |from: &'static str, to: &'static str| {
        move |home: &Home| drop(home.write("p/plugin.yaml", &MANIFEST.replace(from, to)))
    };
    check(
        "type",
        "manifest_invalid",
        "without a subscription",
        &edit("permissions", "type: pre-command-interceptor\npermissions"),
    );
    check("module", "manifest_invalid", "no Python module", &edit("module: m", "module: ../m"));
    check("language", "manifest_invalid", "unknown variant", &edit("python", "ruby"));
    let home = plain();
    fs::create_dir(home.work().join("empty")).unwrap();
    home.refused(&["plugin", "install", "empty"], "file_not_found");
}

// covers: S101, S102
#[test]
fn scripts_in_the_plugins_folder_are_listed() {
    let home = seed();
    for (file, text) in [
        ("plugins/p/plugin.yaml", MANIFEST),
        ("plugins/p/m.py", ""),
        ("plugins/broken/plugin.yaml", "name: broken\nversion: x\nhooks: [{event: post-command, script: a}]\n"),
        ("plugins/native/plugin.yaml", "name: native\nversion: 1.0.0\ncommands: [a]\n"),
    ] {
        home.write(file, text);
    }
    let list = home.json(&["plugin", "list", "--all"]);
    let named = |name: &str| list["plugins"].as_array().unwrap().iter().filter(|found| found["name"] == name).count();
    assert_eq!((named("log-processor"), named("p"), named("native")), (1, 1, 0), "{list}");
    let warnings = list["warnings"].to_string();
    assert!(warnings.contains("broken") && warnings.contains("version"), "{warnings}");
    assert_eq!(list["built_in"][0]["name"], "script-adapter");
    home.ok(&["plugin", "list", "--all"]).says(&["script-adapter", "built in"]);
    home.ok(&["plugin", "list"]).never_says(&["script-adapter"]);
    assert_eq!(home.json(&["plugin", "list"]).get("built_in"), None::<&Value>);
    home.write("q/plugin.yaml", &MANIFEST.replace("name: p", "name: script-adapter"));
    home.write("q/m.py", "");
    home.refused(&["plugin", "install", "q", "--allow-unsigned"], "name_reserved");
}
