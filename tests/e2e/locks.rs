//! A lock names the plugins of a project byte for byte; a bundle carries them where there is no network.

use std::fs;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, key, manifest, other_key, remade, tiny};
use migraine_tests::run::User;
use serde_json::{Value, json};

use super::dependencies::{needing, put};
use super::fetch::{Site, run};
use super::signed::bare;

pub(super) fn lock(home: &Home) -> Value {
    serde_json::from_str(&fs::read_to_string(home.work().join("migraine.lock")).unwrap()).unwrap()
}

fn other(version: &str, description: &str) -> Parcel {
    tiny(&manifest("base", &json!({"version": version, "description": description})))
}

/// Two plugins, of which one needs the other, installed.
pub(super) fn with_two(home: &Home) {
    put(home, "from", &needing("app", "1.0.0", &["plugin:base ^1"]), "1.0.0");
    put(home, "from", &needing("base", "1.0.0", &[]), "1.0.0");
    home.ok(&["plugin", "install", "from/app-1.0.0.so", "--yes"]);
}

#[test]
fn a_lock_is_written_kept_and_held_to() {
    for &user in users() {
        let home = Home::of(user);
        home.write("w.yaml", "name: w\nsteps: [{command: 'echo RAN'}]");
        home.refused(&["run", "w.yaml", "--locked"], "lock_invalid");
        with_two(&home);
        home.ok(&["plugin", "lock"]).says(&["app 1.0.0 sha256:", "base 1.0.0 sha256:"]);
        let locked = lock(&home);
        let digest = home.json(&["plugin", "info", "base"])["digest"].as_str().unwrap().to_owned();
        let expected = json!({"name": "base", "version": "1.0.0", "digest": format!("sha256:{digest}"),
            "key": key().public().fingerprint().to_string(), "source": "from/base-1.0.0.so"});
        assert_eq!(locked["plugins"][1], expected);
        home.ok(&["plugin", "lock"]).says(&["is up to date"]);
        home.ok(&["run", "w.yaml", "--locked"]).says(&["RAN"]);
        home.ok(&["plugin", "install", "--locked"]).says(&["as it is locked"]);
        // Another version is another plugin; so is one that is not locked at all.
        put(&home, "from", &needing("base", "1.1.0", &[]), "1.1.0");
        home.ok(&["plugin", "install", "from/base-1.1.0.so", "--no-lock"]);
        assert_eq!(lock(&home), locked);
        let error = home.refused(&["run", "w.yaml", "--locked"], "lock_mismatch");
        assert!(
            error["message"].as_str().unwrap().contains("base is installed in version 1.1.0, locked is 1.0.0"),
            "{error}"
        );
        home.ok(&["run", "w.yaml"]).says(&["RAN"]);
        // An installation in the project is taken into its lock.
        home.ok(&["plugin", "install", "from/base-1.1.0.so"]).says(&["migraine.lock"]);
        assert_eq!(lock(&home)["plugins"][1]["version"], "1.1.0");
        home.ok(&["run", "w.yaml", "--locked"]);
        home.ok(&["plugin", "install", tiny(&manifest("extra", &json!({}))).typed(), "--no-lock"]);
        let error = home.refused(&["run", "w.yaml", "--locked"], "lock_mismatch");
        assert!(error["message"].as_str().unwrap().contains("extra 1.0.0 is enabled and not in the lock"), "{error}");
    }
}

#[test]
fn a_locked_installation_is_exactly_the_locked_one() {
    let author = Home::new();
    with_two(&author);
    author.ok(&["plugin", "lock"]);
    let text = fs::read_to_string(author.work().join("migraine.lock")).unwrap();
    let home = Home::new();
    home.write("migraine.lock", &text);
    // The same version with another content, newer ones, and other plugins are not what is locked.
    put(&home, "vendor", &other("1.0.0", "another base"), "1.0.0-other");
    put(&home, "vendor", &needing("base", "1.9.0", &[]), "1.9.0");
    put(&home, "vendor", &needing("app", "1.0.0", &["plugin:base ^1"]), "1.0.0");
    let locked = ["plugin", "install", "--locked", "--from", "vendor", "--yes"];
    let error = home.refused(&locked, "lock_mismatch");
    assert!(error["message"].as_str().unwrap().contains("the package of base 1.0.0 (sha256:"), "{error}");
    assert!(!home.path().join("state").exists());
    put(&home, "vendor", &needing("base", "1.0.0", &[]), "1.0.0");
    home.refused(&["plugin", "install", "nobody", "--locked", "--from", "vendor"], "lock_mismatch");
    home.ok(&locked);
    home.write("w.yaml", "name: w\nsteps: [{command: 'true'}]");
    home.ok(&["run", "w.yaml", "--locked"]);
    // A damaged lock is none.
    for (from, to) in [("sha256:", "md5:"), ("\"format\": 1", "\"format\": 2"), ("\"name\"", "\"names\"")] {
        home.write("migraine.lock", &text.replace(from, to));
        home.refused(&["run", "w.yaml", "--locked"], "lock_invalid");
        home.refused(&locked, "lock_invalid");
    }
}

/// The lock of a cloned project says nothing of whom its user trusts, unless the user says that it does.
#[test]
fn a_lock_trusts_nobody_by_itself() {
    let author = Home::new();
    with_two(&author);
    author.ok(&["plugin", "lock"]);
    let home = bare(User::Root);
    home.write("migraine.lock", &fs::read_to_string(author.work().join("migraine.lock")).unwrap());
    let vendor = author.work().join("from");
    let locked = ["plugin", "install", "--locked", "--yes", "--from", vendor.to_str().unwrap()];
    let error = home.refused(&locked, "untrusted_key");
    assert!(error["message"].as_str().unwrap().contains(&key().public().fingerprint().to_string()), "{error}");
    home.ok(&[&locked[..], &["--trust-locked-keys"]].concat());
    let keys = home.json(&["key", "list"]);
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
}

// covers: S292
#[test]
fn a_bundle_installs_without_a_network_and_without_new_trust() {
    for &user in users() {
        let author = Home::of(user);
        with_two(&author);
        let hooks = remade("hooks", &json!({"hooks": []}));
        author.install(&hooks);
        author.ok(&["plugin", "bundle", "site.bundle"]).says(&["app 1.0.0", "base 1.0.0", "hooks ", "key ed25519:"]);
        let bytes = fs::read(author.work().join("site.bundle")).unwrap();
        author.ok(&["plugin", "bundle", "again.bundle"]);
        assert!(fs::read(author.work().join("again.bundle")).unwrap() == bytes, "the same plugins give the same bytes");
        let home = bare(user);
        fs::write(home.work().join("site.bundle"), &bytes).unwrap();
        let install = ["plugin", "install", "--bundle", "site.bundle", "--yes"];
        let error = home.refused(&install, "untrusted_key");
        assert!(error["message"].as_str().unwrap().contains(&key().public().fingerprint().to_string()), "{error}");
        assert!(!home.path().join("state").exists());
        let trust = key().public().fingerprint().to_string();
        home.ok(&["plugin", "install", "app", "--bundle", "site.bundle", "--yes", "--trust-key", &trust]);
        assert_eq!(home.status("base"), "enabled");
        home.refused(&["plugin", "info", "hooks"], "plugin_not_found");
        // The key is pinned for those names, and for more of them only by its user's own word.
        home.refused(&[&install[..], &["--trust-key", &trust]].concat(), "key_scope");
        home.ok(&["key", "trust", &key().public().to_string(), "--scope", "*"]);
        home.ok(&install);
        home.ok(&["plugin", "hooks", "put", "colour", "green"]);
        for name in ["app", "base", "hooks"] {
            let digest = |home: &Home| home.json(&["plugin", "info", name])["digest"].clone();
            assert_eq!(digest(&home), digest(&author));
        }
    }
}

#[test]
fn a_damaged_bundle_installs_nothing() {
    let home = Home::new();
    with_two(&home);
    home.ok(&["plugin", "bundle", "good.bundle", "base"]);
    home.ok(&["plugin", "uninstall", "app"]);
    home.ok(&["plugin", "uninstall", "base"]);
    let good = fs::read(home.work().join("good.bundle")).unwrap();
    let before = home.snapshot();
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        fs::write(home.work().join("bad.bundle"), bad).unwrap();
        let word = home.word(["plugin", "install", "--bundle", "bad.bundle", "--yes"]);
        assert!(["package_invalid", "format", "entry_path"].contains(&word.as_str()), "byte {at}: {word}");
    }
    fs::write(home.work().join("bad.bundle"), &good[..good.len() / 2]).unwrap();
    assert_eq!(home.word(["plugin", "install", "--bundle", "bad.bundle"]), "package_invalid");
    assert_eq!(home.word(["plugin", "install", "nobody", "--bundle", "good.bundle"]), "lock_mismatch");
    assert_eq!(home.snapshot(), before);
    home.ok(&["plugin", "install", "--bundle", "good.bundle"]);
}

const LOCKED: [&str; 3] = ["plugin", "install", "--locked"];

/// A site whose server hands out two plugins, of which one needs the other; installed from there and locked.
fn locked_from_server(user: User) -> (Site, String) {
    let author = Site::of(user);
    let urls = [("app", &["plugin:base ^1"][..]), ("base", &[])].map(|(name, needs)| {
        let url = author.put(&format!("/{name}.mgp"), &needing(name, "1.0.0", needs));
        url.replacen("https://", "https://ann:secret@", 1)
    });
    for url in urls.iter().rev() {
        author.run(&["plugin", "install", url, "--yes"]).ends(0);
    }
    author.home.ok(&["plugin", "lock"]);
    let lock = fs::read_to_string(author.home.work().join("migraine.lock")).unwrap();
    author.asked();
    (author, lock)
}

// covers: A170
#[test]
fn a_lock_says_where_its_packages_are_and_the_user_whether_they_are_fetched() {
    for &user in users() {
        let (author, lock) = locked_from_server(user);
        assert!(!lock.contains("secret") && !lock.contains("ann"), "{lock}");
        let sources: Value = serde_json::from_str(&lock).unwrap();
        let source = |at: usize| sources["plugins"][at]["source"].as_str().unwrap().to_owned();
        assert_eq!([source(0), source(1)], ["/app.mgp", "/base.mgp"].map(|path| author.server.url(path)));
        // A fresh home with the project alone: nothing is asked before somebody agrees.
        let home = Home::of(user);
        home.write("migraine.lock", &lock);
        let before = home.snapshot();
        let word = |more: &[&str]| run(&home, &[&["--format", "json"], &LOCKED[..], more].concat()).word();
        let done = run(&home, &LOCKED);
        done.ends(6).says(&["consent_required", &format!("base 1.0.0 from {}", source(1)), "install --locked --yes"]);
        // Whoever names a folder means that one.
        assert_eq!(word(&["--from", ".", "--yes"]), "lock_mismatch");
        assert_eq!((home.snapshot(), author.asked()), (before.clone(), Vec::<String>::new()));
        run(&home, &[&LOCKED[..], &["--yes"]].concat()).ends(0);
        assert_eq!(author.asked(), ["/app.mgp", "/base.mgp"]);
        home.write("w.yaml", "name: w\nsteps: [{command: 'true'}]");
        home.ok(&["run", "w.yaml", "--locked"]);
        // An upgrade asks the same server.
        author.put("/base.mgp", &needing("base", "1.1.0", &[]));
        run(&home, &["plugin", "outdated"]).ends(0).says(&["base", "1.1.0"]);
    }
}

#[test]
fn what_a_server_hands_out_is_what_is_locked_or_nothing() {
    for &user in users() {
        let (author, lock) = locked_from_server(user);
        let fresh = |lock: &str| {
            let home = Home::of(user);
            home.write("migraine.lock", lock);
            let before = home.snapshot();
            let word = run(&home, &[&["--format", "json"], &LOCKED[..], &["--yes"]].concat()).word();
            let mut after = home.snapshot();
            after.retain(|path, _| !path.to_string_lossy().contains("/downloads"));
            assert_eq!(after, before, "{word}");
            word
        };
        let good = author.files.file("/base.mgp").unwrap();
        for (what, bytes, code) in [
            ("another version", fs::read(needing("base", "1.0.1", &[]).package()).unwrap(), "lock_mismatch"),
            ("another content", fs::read(other("1.0.0", "another").package()).unwrap(), "lock_mismatch"),
            (
                "another plugin",
                fs::read(needing("app", "1.0.0", &["plugin:base ^1"]).package()).unwrap(),
                "lock_mismatch",
            ),
            ("half of it", good[..good.len() / 2].to_vec(), "package_invalid"),
        ] {
            author.files.put("/base.mgp", bytes);
            assert_eq!(fresh(&lock), code, "{what}");
        }
        author.files.put("/base.mgp", good);
        assert_eq!(fresh(&lock.replace("/base.mgp", "/gone.mgp")), "file_not_found");
        // No address with a secret, and none without encryption.
        author.asked();
        let host = format!("localhost:{}", author.server.port());
        for (from, to) in [(&*host, format!("ann@{host}")), ("base.mgp", "base.mgp?token=1".into())] {
            assert_eq!(fresh(&lock.replace(from, &to)), "lock_invalid");
        }
        assert_eq!(fresh(&lock.replace(&format!("https://{host}"), "http://example.com")), "lock_invalid");
        assert!(author.asked().is_empty());
        // The key decides as for any other file.
        let stranger = bare(user);
        stranger.write("migraine.lock", &lock);
        let word =
            |more: &[&str]| run(&stranger, &[&["--format", "json"], &LOCKED[..], &["--yes"], more].concat()).word();
        assert_eq!(word(&[]), "untrusted_key");
        assert_eq!(word(&["--trust-locked-keys"]), "works");
    }
}

/// Files of the project are found from wherever it lies; what lies elsewhere is named as it is.
#[test]
fn a_locked_file_is_found_again() {
    for &user in users() {
        let home = Home::of(user);
        with_two(&home);
        home.ok(&["plugin", "lock"]);
        let text = fs::read_to_string(home.work().join("migraine.lock")).unwrap();
        assert!(text.contains(r#""source": "from/app-1.0.0.so""#), "{text}");
        let clone = Home::of(user);
        clone.write("migraine.lock", &text);
        let nothing = clone.refused(&[&LOCKED[..], &["--yes"]].concat(), "lock_mismatch");
        assert!(nothing["message"].as_str().unwrap().contains("it came from from/app-1.0.0.so"), "{nothing}");
        for name in ["app", "base"] {
            let needs: &[&str] = if name == "app" { &["plugin:base ^1"] } else { &[] };
            put(&clone, "from", &needing(name, "1.0.0", needs), "1.0.0");
        }
        clone.ok(&[&LOCKED[..], &["--yes"]].concat());
        // Another place of the same bytes does not change what is written.
        clone.ok(&["plugin", "lock"]).says(&["is up to date"]);
        fs::remove_file(clone.work().join("migraine.lock")).unwrap();
        clone.write("sub/README.md", "");
        let done = Done::of(clone.command(["plugin", "lock"]).current_dir(clone.work().join("sub")));
        done.ends(0);
        let elsewhere = fs::read_to_string(clone.work().join("sub/migraine.lock")).unwrap();
        let file = clone.work().canonicalize().unwrap().join("from/base-1.0.0.so");
        assert!(elsewhere.contains(&format!(r#""source": "{}""#, file.display())), "{elsewhere}");
    }
}

pub(super) fn lock_text(home: &Home) -> String {
    fs::read_to_string(home.work().join("migraine.lock")).unwrap()
}

/// What could not be installed from it is neither locked nor bundled without a word.
#[test]
fn what_is_needed_is_locked_and_bundled_or_nothing_is() {
    let home = Home::new();
    with_two(&home);
    home.ok(&["plugin", "lock"]);
    let before = lock_text(&home);
    home.ok(&["plugin", "uninstall", "base", "--force", "--no-lock"]);
    for line in
        [&["plugin", "bundle", "site.bundle"][..], &["plugin", "bundle", "site.bundle", "app"], &["plugin", "lock"]]
    {
        let error = home.refused(line, "dependency_missing");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("app 1.0.0 needs `plugin:base ^1`: there is no plugin base"), "{message}");
        assert!(error["help"].as_str().unwrap().contains("--force"), "{error}");
    }
    assert_eq!((lock_text(&home), home.work().join("site.bundle").exists()), (before, false));
    let forced = home.ok(&["plugin", "bundle", "site.bundle", "--force"]);
    forced.says(&["warning: app 1.0.0 needs `plugin:base ^1`: there is no plugin base"]);
    home.ok(&["plugin", "lock", "--force"]).says(&["there is no plugin base"]);
    assert_eq!(lock(&home)["plugins"].as_array().unwrap().len(), 1);
    // One of another version, and one that nobody signed, do not go along either.
    home.ok(&["plugin", "install", needing("base", "2.0.0", &[]).typed(), "--no-lock"]);
    let error = home.refused(&["plugin", "lock"], "dependency_missing");
    assert!(error["message"].as_str().unwrap().contains("base is installed in version 2.0.0"), "{error}");
}

/// Changes a byte of an installed plugin, and lets that be found.
fn damage(home: &Home, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let digest = home.json(&["plugin", "info", name])["digest"].as_str().unwrap().to_owned();
    let tree = home.path().join("store").join(digest);
    let index = tree.join("index");
    fs::set_permissions(&index, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&index, "damaged").unwrap();
    fs::set_permissions(&index, fs::Permissions::from_mode(0o444)).unwrap();
    let _ = home.run(["plugin", "refresh"]);
    assert_eq!(home.json(&["plugin", "list"])["plugins"][0]["status"], "error");
}

#[test]
fn what_is_left_out_is_named_and_a_good_lock_does_not_become_an_empty_one() {
    let home = Home::new();
    home.install(&needing("alpha", "1.0.0", &[]));
    home.install(&needing("omega", "1.0.0", &[]));
    home.ok(&["plugin", "lock"]);
    damage(&home, "alpha");
    home.ok(&["plugin", "lock"]).says(&["warning: alpha is left out: its status is error", "omega 1.0.0"]);
    let warnings = home.json(&["plugin", "bundle", "site.bundle"])["warnings"].clone();
    assert_eq!(warnings[0]["name"], "alpha", "{warnings}");
    // Whoever switched one off knows that.
    home.ok(&["plugin", "disable", "omega"]);
    let (before, bundled) = (lock_text(&home), fs::read(home.work().join("site.bundle")).unwrap());
    let error = home.refused(&["plugin", "lock"], "value_invalid");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("migraine.lock names plugins") && message.contains("alpha is left out"), "{message}");
    assert!(!message.contains("omega"), "{message}");
    assert_eq!(lock_text(&home), before);
    home.ok(&["plugin", "lock", "--force"]);
    assert_eq!(lock(&home)["plugins"], json!([]));
    home.ok(&["plugin", "lock"]);
    for force in [&[][..], &["--force"]] {
        home.refused(&[&["plugin", "bundle", "site.bundle"], force].concat(), "value_invalid");
    }
    assert_eq!(fs::read(home.work().join("site.bundle")).unwrap(), bundled);
}

/// A bundle takes the place of an earlier one, and of nothing else that anybody could miss.
#[test]
fn what_is_no_bundle_is_not_replaced_by_one() {
    use std::os::unix::fs::FileTypeExt as _;
    let home = Home::new();
    home.install(&needing("demo", "1.0.0", &[]));
    let place = |name: &str| home.work().join(name);
    nix::unistd::mkfifo(&place("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(place("folder")).unwrap();
    home.write("notes.txt", "mine");
    std::os::unix::fs::symlink("notes.txt", place("link")).unwrap();
    let mut names = vec![("fifo", "a FIFO"), ("folder", "a directory"), ("link", "a symbolic link")];
    if nix::unistd::geteuid().is_root() {
        // A node of its own, of a device that takes everything: that of the machine is nobody's to lose.
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(&place("device"), SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, makedev(1, 3)).unwrap();
        names.push(("device", "a device"));
    }
    for (name, what) in names {
        let kind = fs::symlink_metadata(place(name)).unwrap().file_type();
        for force in [&[][..], &["--force"]] {
            let error = home.refused(&[&["plugin", "bundle", name], force].concat(), "value_invalid");
            assert!(error["message"].as_str().unwrap().contains(&format!("{name} is {what}")), "{error}");
        }
        assert_eq!(fs::symlink_metadata(place(name)).unwrap().file_type(), kind, "{name}");
    }
    let error = home.refused(&["plugin", "bundle", "notes.txt"], "value_invalid");
    assert!(error["help"].as_str().unwrap().contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(place("notes.txt")).unwrap(), "mine");
    home.ok(&["plugin", "bundle", "notes.txt", "--force"]);
    home.ok(&["plugin", "bundle", "notes.txt"]);
    home.ok(&["plugin", "install", "--bundle", "notes.txt"]);
    // The lock is written by the same hand.
    nix::unistd::mkfifo(&place("migraine.lock"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    home.refused(&["plugin", "lock"], "value_invalid");
    assert!(fs::symlink_metadata(place("migraine.lock")).unwrap().file_type().is_fifo());
}

/// What cannot be locked is not installed: that the lock can be written is known before anything is.
#[test]
fn an_installation_in_a_project_that_cannot_be_locked_changes_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    for &user in users() {
        let home = Home::of(user);
        home.ok(&["plugin", "install", tiny(&manifest("other", &json!({}))).typed(), "--yes"]);
        home.ok(&["plugin", "lock"]);
        let parcel = tiny(&manifest("demo", &json!({})));
        let (before, text) = (home.snapshot(), lock_text(&home));
        // A name that the new lock takes until it is in its place; and a directory that nothing is written to.
        home.write(".migraine.lock.tmp/x", "");
        let obstacle = home.work().join(".migraine.lock.tmp");
        let done = home.run(["plugin", "install", parcel.typed(), "--yes"]);
        done.ends(1).says(&["error[io]", "migraine.lock"]).never_says(&["installed successfully"]);
        assert_eq!((home.snapshot(), lock_text(&home)), (before.clone(), text.clone()));
        fs::remove_dir_all(&obstacle).unwrap();
        if user == User::Plain {
            fs::set_permissions(home.work(), fs::Permissions::from_mode(0o555)).unwrap();
            home.refused(&["plugin", "install", parcel.typed(), "--yes"], "io");
            assert_eq!(home.snapshot(), before);
            home.ok(&["plugin", "install", parcel.typed(), "--yes", "--no-lock", "--dry-run"]);
            fs::set_permissions(home.work(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        home.ok(&["plugin", "install", parcel.typed(), "--yes"]).says(&["migraine.lock updated"]);
        assert_eq!(lock(&home)["plugins"][0]["name"], "demo");
        assert!(!obstacle.exists());
    }
}

/// Behind an air gap there is nobody to ask: one look says what would come and whom to trust, all of it at once.
#[test]
fn a_bundle_is_looked_at_first_and_names_every_key() {
    let author = Home::new();
    author.trust(&other_key(), "*");
    author.install(&tiny(&manifest("first", &json!({}))));
    author.install(&tiny(&manifest("second", &json!({}))).signed(&other_key()));
    author.install(&tiny(&manifest("third", &json!({}))).signed(&other_key()));
    author.ok(&["plugin", "bundle", "site.bundle"]);
    let bundle = fs::read(author.work().join("site.bundle")).unwrap();
    let home = bare(User::Root);
    home.write_bytes("site.bundle", &bundle);
    let before = home.snapshot();
    let line = ["plugin", "install", "--bundle", "site.bundle"];
    for more in [&[][..], &["--dry-run"]] {
        let error = home.refused(&[&line[..], more].concat(), "untrusted_key");
        let message = error["message"].as_str().unwrap();
        let other = other_key().public();
        assert!(message.contains(&format!("migraine key trust {} --scope 'first'", key().public())), "{message}");
        assert!(message.contains(&format!("migraine key trust {other} --scope 'second' --scope 'third'")), "{message}");
    }
    let trusting = [&line[..], &["--trust-locked-keys"]].concat();
    home.ok(&[&trusting[..], &["--dry-run"]].concat())
        .says(&["'first' would be installed", "'third' would be installed"]);
    assert_eq!(home.snapshot(), before);
    let error = home.refused(&[&line[..], &["--locked"]].concat(), "lock_invalid");
    assert!(error["message"].as_str().unwrap().contains("the lock in the bundle counts"), "{error}");
    home.run(["plugin", "install", "x", "--trust-locked-keys"]).ends(1).says(&["--bundle"]);
    home.ok(&trusting).says(&["'first' installed", "'third' installed"]);
    // A lock is looked at in the same way.
    home.ok(&["plugin", "lock"]);
    home.ok(&["plugin", "uninstall", "second", "--no-lock"]);
    let before = home.snapshot();
    fs::create_dir(home.work().join("vendor")).unwrap();
    home.refused(&["plugin", "install", "--locked", "--dry-run", "--from", "vendor"], "lock_mismatch");
    let second = tiny(&manifest("second", &json!({}))).signed(&other_key());
    put(&home, "vendor", &second, "1.0.0");
    home.ok(&["plugin", "install", "--locked", "--dry-run", "--from", "vendor"]).says(&["'second' would be installed"]);
    assert_eq!(home.snapshot(), before);
}
