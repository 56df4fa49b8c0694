//! Who may sign what: no signature, unknown keys, keys for other names, keys that were taken back.

use std::fs;

use migraine_host::trust::SecretKey;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel::users;
use migraine_tests::package::{key, other_key, plugin, remade, typed};
use serde_json::{Value, json};

// covers: A106
#[test]
fn unsigned_is_refused_with_the_way_out() {
    let home = Home::new();
    let parcel = plugin("hello-world").unsigned();
    let before = home.snapshot();
    for verb in ["install", "verify"] {
        let error = home.refused(&["plugin", verb, parcel.typed()], "signature_missing");
        assert!(error["help"].as_str().unwrap().contains("--allow-unsigned"), "{error}");
    }
    // Consent to permissions is not consent to that.
    home.refused(&["plugin", "install", parcel.typed(), "--yes"], "signature_missing");
    assert_eq!(home.snapshot(), before);
}

#[test]
fn unsigned_stays_visible_for_ever() {
    let home = Home::new();
    let parcel = plugin("hello-world").unsigned();
    let done = home.ok(&["plugin", "install", parcel.typed(), "--allow-unsigned"]);
    done.says(&["signature  unsigned", "hello-world is not signed: nobody vouches for it"]);
    home.ok(&["plugin", "disable", "hello-world"]);
    home.ok(&["plugin", "enable", "hello-world"]);
    home.ok(&["plugin", "refresh"]);
    home.ok(&["plugin", "list"]).says(&["(unsigned) A simple hello world plugin"]);
    home.ok(&["plugin", "info", "hello-world"]).says(&["signature    unsigned"]);
    home.ok(&["plugin", "verify", "hello-world"]).says(&["signature  unsigned"]);
    let run = home.ok(&["plugin", "hello-world", "hello"]);
    assert_eq!(run.out, "Hello, World!\n");
    assert!(run.err.contains("unsigned"), "{run:?}");
    assert_eq!(home.json(&["plugin", "info", "hello-world"])["signature"], json!({"kind": "unsigned"}));
}

// covers: A122
#[test]
fn the_exception_is_for_those_very_bytes() {
    let home = Home::new();
    let parcel = plugin("hello-world").unsigned();
    home.ok(&["plugin", "install", parcel.typed(), "--allow-unsigned"]);
    // The same file again is the same exception; another one is not.
    home.ok(&["plugin", "install", parcel.typed()]);
    let other = remade("hello-world", &json!({"version": "1.0.1"})).unsigned();
    home.refused(&["plugin", "install", other.typed()], "signature_missing");
    // It ends with the plugin.
    home.ok(&["plugin", "uninstall", "hello-world"]);
    home.refused(&["plugin", "install", parcel.typed()], "signature_missing");
    // A signed one of the same name takes the place of an unsigned one and is shown as signed.
    home.ok(&["plugin", "install", parcel.typed(), "--allow-unsigned"]);
    home.install(&plugin("hello-world"));
    assert_eq!(home.json(&["plugin", "info", "hello-world"])["signature"]["kind"], "signed");
    assert!(!home.ok(&["plugin", "hello-world", "hello"]).err.contains("unsigned"));
}

// covers: A109, A124
#[test]
fn an_unknown_key_is_refused_with_the_command_that_trusts_it() {
    let home = Home::new();
    let parcel = plugin("hello-world").signed(&other_key());
    let before = home.snapshot();
    let install = ["plugin", "install", parcel.typed()];
    let error = home.refused(&install, "untrusted_key");
    assert_eq!(home.snapshot(), before);
    let fingerprint = other_key().public().fingerprint().to_string();
    assert!(error["message"].as_str().unwrap().contains(&fingerprint), "{error}");
    // Not with `--allow-unsigned` either: it is signed, by somebody unknown.
    home.refused(&["plugin", "install", parcel.typed(), "--allow-unsigned"], "untrusted_key");
    let text = home.run(install);
    let command = text.err.lines().find_map(|line| line.split_once("trust the key with: ")).unwrap().1;
    // As a person pastes it into a shell.
    let program = migraine_tests::artifacts::migraine().parent().unwrap();
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear().env("MIGRAINE_HOME", home.path()).env("PATH", program);
    Done::of(&mut shell).ends(0);
    home.ok(&install);
    assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
    let keys = home.json(&["key", "list"]);
    let found = keys.as_array().unwrap().iter().find(|key| key["fingerprint"] == fingerprint).unwrap();
    assert_eq!(found["scope"], json!(["hello-world"]), "no more than was needed");
}

// covers: A110
#[test]
fn a_key_signs_the_names_of_its_scope() {
    for (scope, fits) in [("*", true), ("hello-*", true), ("hello-world", true), ("hello", false), ("a-*", false)] {
        let home = Home::bare();
        home.ok(&["key", "trust", &key().public().to_string(), "--scope", scope]);
        let parcel = plugin("hello-world");
        if fits {
            home.ok(&["plugin", "install", parcel.typed()]);
            continue;
        }
        let before = home.snapshot();
        let error = home.refused(&["plugin", "install", parcel.typed()], "key_scope");
        assert!(error["message"].as_str().unwrap().contains(scope), "{error}");
        assert!(error["help"].as_str().unwrap().contains("--scope 'hello-world'"), "{error}");
        assert_eq!(home.snapshot(), before, "{scope}");
    }
}

// covers: A119
#[test]
fn a_key_that_is_gone_lets_nothing_run() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    home.install(&plugin("hooks"));
    home.ok(&["plugin", "hello-world", "hello"]);
    for entry in fs::read_dir(home.path().join("keys")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let error = home.refused(&["plugin", "hello-world", "hello"], "untrusted_key");
    assert!(error["message"].as_str().unwrap().contains(&key().public().fingerprint().to_string()), "{error}");
    home.refused(&["plugin", "verify", "hello-world"], "untrusted_key");
    home.ok(&["plugin", "disable", "hello-world"]);
    home.refused(&["plugin", "enable", "hello-world"], "untrusted_key");
    // A workflow goes on without it, and says so.
    home.write("migraine.yaml", "name: w\nsteps: [{command: echo done}]");
    home.ok(&["run"]).says(&["done\n", "untrusted_key"]);
    let refreshed = home.json(&["plugin", "refresh"]);
    assert_eq!(refreshed["warnings"].as_array().unwrap().len(), 2, "{refreshed}");
    assert_eq!(home.status("hello-world"), "error");
    // Back again, all is well again.
    home.trust(&key(), "*");
    home.ok(&["plugin", "refresh"]);
    home.ok(&["plugin", "enable", "hello-world"]);
    home.ok(&["plugin", "hello-world", "hello"]);
}

// covers: A119
#[test]
fn the_list_says_what_does_not_run() {
    for &user in users() {
        let home = Home::of(user);
        home.install(&plugin("hello-world"));
        let print = key().public().fingerprint().to_string();
        let revoke = || home.ok(&["key", "revoke", &print]);
        let stands = |status: &str, why: &str| {
            assert_eq!(home.status("hello-world"), status);
            let errors = usize::from(status == "error");
            assert_eq!(home.json(&["plugin", "list"])["summary"]["errors"], errors);
            home.ok(&["plugin", "list"]).says(&[status, why]);
        };
        stands("enabled", "hello world plugin");
        revoke();
        stands("error", "was revoked by you");
        assert_eq!(home.json(&["plugin", "list", "--status", "enabled"])["plugins"], json!([]));
        home.ok(&["key", "untrust", &print, "--forget-revocation"]);
        stands("error", "not trusted any more");
        home.ok(&["key", "trust", &key().public().to_string(), "--scope", "a-*"]);
        stands("error", "trusted for `a-*` only");
        // Nothing of that sticks: what counts is what the user says now.
        assert_eq!(home.json(&["plugin", "refresh"])["changed"], json!([]));
        home.ok(&["key", "trust", &key().public().to_string(), "--scope", "hello-*"]);
        stands("enabled", "hello world plugin");
        home.ok(&["plugin", "hello-world", "hello"]);
        home.ok(&["plugin", "verify", "hello-world"]);
    }
}

// covers: A120
#[test]
fn what_was_damaged_and_is_whole_again_runs() {
    for &user in users() {
        let home = Home::of(user);
        home.install(&plugin("hello-world"));
        let digest = home.json(&["plugin", "info", "hello-world"])["digest"].as_str().unwrap().to_owned();
        let tree = home.path().join("store").join(digest);
        let files = fs::read_dir(tree.join("files")).unwrap().map(|entry| entry.unwrap().path());
        let library = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "so")).unwrap();
        let whole = fs::read(&library).unwrap();
        let write = |bytes: &[u8]| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode;
            fs::set_permissions(&library, mode(0o644)).unwrap();
            fs::write(&library, bytes).unwrap();
            fs::set_permissions(&library, mode(0o444)).unwrap();
        };
        write(&[&whole[..whole.len() - 1], &[!whole[whole.len() - 1]]].concat());
        home.ok(&["plugin", "refresh"]);
        assert_eq!(home.status("hello-world"), "error");
        write(&whole);
        assert_ne!(home.run(["plugin", "hello-world", "hello"]).code, 0);
        home.ok(&["plugin", "verify", "hello-world"]);
        assert_eq!(home.status("hello-world"), "enabled");
        home.ok(&["plugin", "hello-world", "hello"]);
    }
}

#[test]
fn the_list_says_whose_files_are_gone() {
    for &user in users() {
        let home = Home::of(user);
        home.install(&plugin("hello-world"));
        let digest = home.json(&["plugin", "info", "hello-world"])["digest"].as_str().unwrap().to_owned();
        let tree = home.path().join("store").join(digest);
        fs::rename(&tree, home.path().join("elsewhere")).unwrap();
        assert_eq!(home.status("hello-world"), "error");
        for line in [&["plugin", "list"][..], &["--format", "json", "plugin", "list"]] {
            home.ok(line).says(&["error", "its files are gone; uninstall it and install it again"]);
        }
        fs::rename(home.path().join("elsewhere"), &tree).unwrap();
        assert_eq!(home.status("hello-world"), "enabled");
    }
}

// covers: A111
#[test]
fn weak_keys_are_refused() {
    let home = Home::bare();
    let before = home.snapshot();
    for point in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ] {
        home.refused(&["key", "trust", &format!("ed25519-public:{point}"), "--scope", "*"], "weak_key");
    }
    assert_eq!(home.snapshot(), before);
}

// covers: A107
#[test]
fn a_signature_file_has_one_form() {
    let home = Home::new();
    let parcel = plugin("hello-world");
    let good = fs::read_to_string(parcel.sidecar()).unwrap();
    let before = home.snapshot();
    let mut forms: Vec<Vec<u8>> = vec![Vec::new(), b"\n".to_vec(), vec![0; 64], vec![0xff; 200], vec![b'a'; 200_000]];
    forms.extend(
        [good.repeat(2), good.replace('\n', "\r\n"), format!("{good}\n"), format!(" {good}")].map(String::into_bytes),
    );
    forms.extend([1, 2, 63, 64, 65].map(|cut| good.as_bytes()[..good.len() - cut].to_vec()));
    for form in forms {
        fs::write(parcel.sidecar(), &form).unwrap();
        let done = home.run(["plugin", "install", parcel.typed(), "--allow-unsigned"]);
        let shown = String::from_utf8_lossy(&form[..form.len().min(80)]).into_owned();
        assert!(matches!(done.code, 3 | 6), "{shown}: {done:?}");
        assert_eq!(home.snapshot(), before, "{shown}");
    }
}

// covers: A114
#[test]
fn a_signature_belongs_to_one_plugin_and_version() {
    let home = Home::new();
    let one = plugin("hello-world");
    for other in [remade("hello-world", &json!({"version": "1.0.1"})), remade("hello-world", &json!({"name": "hallo"}))]
    {
        fs::copy(one.sidecar(), other.sidecar()).unwrap();
        let done = home.run(["plugin", "install", other.typed()]);
        assert!(matches!(done.code, 3 | 6), "{done:?}");
    }
    assert_eq!(home.json(&["plugin", "list"])["summary"]["total"], 0);
}

#[test]
fn keys_are_made_used_and_listed() {
    let home = Home::bare();
    let made = home.ok(&["key", "generate", "--no-passphrase"]);
    made.says(&["NOT encrypted", "migraine key trust ed25519-public:"]);
    let path = home.path().join("developer.key");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
    // Never over an existing one.
    let before = home.snapshot();
    assert_ne!(home.run(["key", "generate", "--no-passphrase"]).code, 0);
    assert_eq!(home.snapshot(), before);
    let secret = migraine_host::trust::keyring::load_secret(&path).unwrap().open(None).unwrap();
    let public = home.write("pub.key", &secret.public().render_file());
    home.ok(&["key", "trust", typed(&public), "--scope", "hello-*", "--scope", "x", "--label", "my own"]);
    home.ok(&["key", "list"]).says(&["label    my own", "scope    hello-*, x", &secret.fingerprint().to_string()]);
    home.ok(&["plugin", "install", plugin("hello-world").signed(&secret).typed()]);
    let stranger: Value = home.refused(&["plugin", "install", plugin("hooks").signed(&secret).typed()], "key_scope");
    assert!(stranger["message"].as_str().unwrap().contains("my own"), "{stranger}");
    // A key that others can read is not used.
    let open = home.work().join("open.key");
    fs::write(&open, SecretKey::from_seed(&[3; 32]).render_plain().unwrap().as_bytes()).unwrap();
    assert!(migraine_host::trust::keyring::load_secret(&open).is_err());
}
