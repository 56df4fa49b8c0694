//! The store under what may come: many commands at once, plugins that run meanwhile, full disks, odd umasks and homes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use migraine_host::trust::{BadSince, RevocationList, SecretKey};
use migraine_tests::artifacts;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel::{skip, users};
use migraine_tests::package::{Parcel, key, manifest, other_key, plugin, remade, tiny, typed};
use migraine_tests::run::{PLAIN, User};
use serde_json::json;

fn begin(home: &Home, line: &[&str]) -> Child {
    home.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Done {
    ended(&child.wait_with_output().unwrap())
}

fn ended(output: &Output) -> Done {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!err.contains("LEFT BEHIND"), "{err}");
    Done { code: output.status.code().unwrap_or(-1), out, err, took: Duration::ZERO }
}

fn in_order(home: &Home) {
    home.ok(&["plugin", "fsck"]).never_says(&["note", "damaged"]);
    for empty in ["staging", "trash"] {
        assert_eq!(fs::read_dir(home.path().join(empty)).unwrap().count(), 0, "{empty}");
    }
}

// covers: A149
#[test]
fn fifty_at_once_leave_a_store_in_order() {
    let home = Home::new();
    let one = tiny(&manifest("demo", &json!({})));
    let same: Vec<Child> = (0..50).map(|_| begin(&home, &["plugin", "install", one.typed()])).collect();
    for done in same.into_iter().map(end) {
        done.ends(0);
    }
    assert_eq!(home.json(&["plugin", "list"])["summary"]["total"], 1);
    in_order(&home);
    let parcels: Vec<Parcel> = (0..50).map(|number| tiny(&manifest(&format!("demo-{number}"), &json!({})))).collect();
    let all: Vec<Child> = parcels.iter().map(|parcel| begin(&home, &["plugin", "install", parcel.typed()])).collect();
    for done in all.into_iter().map(end) {
        done.ends(0);
    }
    assert_eq!(home.json(&["plugin", "list"])["summary"]["enabled"], 51);
    in_order(&home);
}

/// How often everything happens at once: `cargo xtask crash-test` has time for more.
fn rounds() -> u32 {
    std::env::var("MIGRAINE_TOGETHER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10)
}

// covers: A149
#[test]
fn a149_change_one_plugin_from_everywhere_at_once() {
    let versions = ["1.0.0", "1.1.0"].map(|version| remade("hello-world", &json!({"version": version})));
    for user in users() {
        let home = Home::of(*user);
        for round in 0..rounds() {
            let mut children = vec![
                begin(&home, &["plugin", "install", versions[0].typed(), "--yes"]),
                begin(&home, &["plugin", "install", versions[1].typed(), "--yes"]),
                begin(&home, &["plugin", "uninstall", "hello-world"]),
            ];
            children.extend((0..8).map(|_| begin(&home, &["plugin", "run", "hello-world", "hello"])));
            for done in children.into_iter().map(end) {
                let refused = ["plugin_not_found", "version_rollback", "changed by another process"];
                let is_fine = done.code == 0 && done.err.is_empty() || refused.iter().any(|why| done.err.contains(why));
                assert!(is_fine, "round {round}: {done:?}");
            }
            in_order(&home);
            let _ = home.run(["plugin", "uninstall", "hello-world"]);
            home.ok(&["plugin", "forget", "hello-world", "--history"]);
        }
    }
}

// covers: A153
#[test]
fn a153_take_a_running_plugin_away() {
    for user in users() {
        let home = Home::of(*user);
        home.install(&plugin("hooks"));
        let newer = remade("hooks", &json!({"version": "1.1.0"}));
        let changes: [&[&str]; 3] = [
            &["plugin", "install", newer.typed()],
            &["plugin", "rollback", "hooks"],
            &["plugin", "uninstall", "hooks", "--purge"],
        ];
        for change in changes {
            let mut command = home.command(["plugin", "run", "hooks", "cat"]);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut input, b"first\n").unwrap();
            let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert_eq!(line, "first\n", "it runs");
            home.ok(change);
            std::io::Write::write_all(&mut input, b"second\n").unwrap();
            drop(input);
            let mut rest = String::new();
            std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
            assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("second\n", Some(0)), "{change:?}");
        }
        home.refused(&["plugin", "run", "hooks", "settings"], "plugin_not_found");
        in_order(&home);
    }
}

/// Options of small file systems for [`in_small_disk`], each with what fills it there: with bytes, and with files.
pub(super) const SMALL_DISKS: [(&str, &str); 2] = [
    ("size=2m,mode=755", "dd if=/dev/zero of=/mnt/full bs=4096 2>/dev/null || true"),
    ("size=8m,nr_inodes=80,mode=755", "i=0; while touch /mnt/f$i 2>/dev/null; do i=$((i+1)); done"),
];

/// Runs a shell script as a user in a mount namespace of its own, where it may fill a small file system at `/mnt`, which is
/// that user's.
pub(super) fn in_small_disk(user: User, options: &str, script: &str) -> Done {
    let migraine = artifacts::migraine().display().to_string();
    let owner = if user == User::Plain { PLAIN } else { 0 };
    let shell = user.command(Path::new("/bin/sh"));
    let mut command = Command::new("unshare");
    let mount = format!("mount -t tmpfs -o {options},uid={owner},gid={owner} none /mnt && exec \"$@\"");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &mount, "sh"]);
    command.arg(shell.get_program()).args(shell.get_args()).args(["-e", "-c", script]);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/sbin")
        .env("HOME", "/nonexistent")
        .env("M", migraine);
    ended(&command.stdin(Stdio::null()).output().unwrap())
}

// covers: A154
#[test]
fn a154_leave_no_byte_and_no_inode() {
    if !nix::unistd::geteuid().is_root() {
        return skip("full disks", "this is not root");
    }
    let parcels = ["one", "two"].map(|name| tiny(&manifest(name, &json!({}))));
    let [one, two] = parcels.each_ref().map(Parcel::typed);
    // A key that is bad, and a list of another one that says so of a third.
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let (owner, now) = (SecretKey::from_seed(&[51; 32]), "2026-01-02T03:04:05Z".parse().unwrap());
    let signed =
        RevocationList::first(owner.public(), now).sign_next(&owner, &[(key().fingerprint(), BadSince::Always)], now);
    let list = folder.path().join("list");
    fs::write(&list, signed.unwrap()).unwrap();
    let (list, bad) = (typed(&list), other_key().public());
    let trust = format!(
        "export MIGRAINE_HOME=/mnt/home\n$M key trust {} --scope '*'\n$M key trust {} --scope one\n$M key trust {bad} --scope x",
        key().public(),
        owner.public()
    );
    // Nothing more finds room.
    let controls = [
        "! printf x > /mnt/more 2>/dev/null\n! cp -r /mnt/home/store /mnt/copy 2>/dev/null",
        "! touch /mnt/more 2>/dev/null\n! mkdir /mnt/home/x 2>/dev/null",
    ];
    let disks = || SMALL_DISKS.into_iter().zip(controls);
    for (&user, ((options, fill), control)) in users().iter().flat_map(|user| disks().map(move |disk| (user, disk))) {
        let script = format!(
            "{trust}\n$M plugin install {one}\n$M plugin install {two}\n{fill}\n{control}\n\
             $M key revoke {bad}\n$M plugin uninstall one\n$M plugin list\n$M plugin uninstall two\n$M plugin fsck\n\
             ls /mnt/home/store /mnt/home/staging /mnt/home/trash"
        );
        let done = in_small_disk(user, options, &script);
        done.ends(0).says(&[
            &format!("Key {} revoked", bad.fingerprint()),
            "'one' uninstalled",
            "two                  1.0.0",
            "'two' uninstalled",
            "0 plugins, 0 trees",
        ]);
        assert!(done.out.ends_with("/mnt/home/staging:\n\n/mnt/home/store:\n\n/mnt/home/trash:\n"), "{done:?}");
        let script = format!("{trust}\n$M plugin install {one}\n{fill}\n{control}\n$M key import {list}\n$M key list");
        in_small_disk(user, options, &script).ends(0).says(&["List 1 of", "stopped  one", "by the list of"]);
    }
}

/// A database that holds data of a plugin.
fn database(folder: &Path, plugin: &str) -> PathBuf {
    let home = migraine_host::store::Home::open(&folder.join("home")).unwrap();
    drop(migraine_host::store::PluginData::open(&home).unwrap());
    let path = folder.join("home/data/plugins.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute("INSERT INTO kept (plugin, maker, key, value) VALUES (?1, 'x', 'k', x'00')", [plugin]).unwrap();
    database.pragma_update(None, "wal_checkpoint", "truncate").unwrap();
    path
}

// covers: A154
#[test]
fn a154_purge_on_a_full_disk() {
    if !nix::unistd::geteuid().is_root() {
        return skip("full disks", "this is not root");
    }
    let parcels = ["one", "two"].map(|name| tiny(&manifest(name, &json!({}))));
    let [one, two] = parcels.each_ref().map(Parcel::typed);
    let folder = tempfile::tempdir().unwrap();
    let data = database(folder.path(), "one");
    let key = key().public();
    // What never had data gets none by being purged.
    let prepared = format!(
        "export MIGRAINE_HOME=/mnt/home\n$M key trust {key} --scope '*'\n$M plugin install {one}\n\
         $M plugin uninstall one --purge\ntest ! -e /mnt/home/data\n$M plugin install {one}\nmkdir -m 700 /mnt/home/data"
    );
    let with_data = format!("cp {} /mnt/home/data/plugins.db\nchmod 600 /mnt/home/data/plugins.db", data.display());
    let purge = "$M plugin uninstall one --purge";
    let later = format!("rm -f /mnt/full /mnt/f[0-9]* /mnt/home/data/full\n$M plugin install {two}\n$M plugin fsck");
    for (options, fill) in SMALL_DISKS {
        let done = in_small_disk(
            User::Root,
            options,
            &format!("{prepared}\n{with_data}\n{fill}\n{purge}\n$M plugin list\n{later}"),
        );
        done.ends(0).says(&["'one' uninstalled", "1 plugin, 1 tree"]).never_says(&["it holds data of one"]);
    }
    // There is no room for the database at all: the plugin is gone, and its data goes once there is.
    let apart = "mount -t tmpfs -o size=128k,mode=700 none /mnt/home/data";
    let full = "dd if=/dev/zero of=/mnt/home/data/full bs=4096 2>/dev/null || true";
    let before = format!("{prepared}\n{apart}\n{with_data}\n{full}\n{purge}");
    let done =
        in_small_disk(User::Root, "size=4m,mode=755", &format!("{before}\n$M plugin list\n$M plugin fsck || true"));
    done.ends(0).says(&[
        "'one' uninstalled successfully\n",
        "warning: the disk is full: the data of one goes",
        "0 total",
    ]);
    let done = in_small_disk(User::Root, "size=4m,mode=755", &format!("{before}\n$M plugin install {two}\n{later}"));
    done.ends(0).says(&["'two' installed", "1 plugin, 1 tree"]).never_says(&["it holds data of one"]);
    // What comes back would lose its data with that of before.
    let done = in_small_disk(
        User::Root,
        "size=4m,mode=755",
        &format!("{before}\n! $M plugin install {one}\n{later}\n$M plugin install {one}"),
    );
    done.ends(0).says(&["cannot", "'one' installed"]).never_says(&["it holds data of one"]);
}

/// Runs a command as a user, under a umask.
fn masked(user: User, umask: u32, inner: &Command) -> Done {
    let mut command = user.command(Path::new("/bin/sh"));
    command
        .args(["-c", &format!("umask {umask:03o}; exec \"$@\""), "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inner.get_current_dir().unwrap());
    ended(&command.stdin(Stdio::null()).output().unwrap())
}

// covers: A155
#[test]
fn a155_give_away_modes_and_homes() {
    users().iter().for_each(|&user| give_away_modes(user));
    users().iter().for_each(|&user| give_away_homes(user));
}

fn give_away_modes(user: User) {
    let parcel = plugin("hello-world");
    for umask in [0o000, 0o777, 0o022] {
        let home = Home::of(user);
        fs::remove_dir_all(home.path()).unwrap();
        let trust = ["key", "trust", &key().public().to_string(), "--scope", "*"];
        for line in [&trust[..], &["plugin", "install", parcel.typed()], &["plugin", "hello-world", "hello"]] {
            masked(user, umask, &home.product(line)).ends(0);
        }
        masked(user, umask, &home.product(["plugin", "fsck"])).ends(0);
        private(&home.path(), false);
        // What leaves the mode to the umask has another one each time.
        let naive = home.work().join("naive");
        masked(user, umask, Command::new("mkdir").arg(&naive).current_dir(home.work())).ends(0);
        assert_eq!(fs::metadata(&naive).unwrap().mode() & 0o777, 0o777 & !umask);
    }
}

fn give_away_homes(user: User) {
    let home = Home::of(user);
    for (own, place) in [
        (None, None),
        (None, Some("relative")),
        (None, Some("/")),
        (None, Some("")),
        (None, Some("/no/such/folder")),
        (Some("relative"), Some("/root")),
        (Some("/"), Some("/root")),
        (Some("/no/such/folder/home"), Some("/root")),
    ] {
        let mut command = home.product(["plugin", "list"]);
        command.env_remove("MIGRAINE_HOME").env_remove("HOME");
        command.envs(own.map(|own| ("MIGRAINE_HOME", own))).envs(place.map(|place| ("HOME", place)));
        let done = masked(user, 0o022, &command);
        done.ends(3).says(&["value_invalid", "set MIGRAINE_HOME to an absolute path"]);
        assert_eq!(fs::read_dir(home.work()).unwrap().count(), 0, "{own:?} {place:?}");
    }
}

/// Nobody else can read or change anything; trees cannot be changed at all.
fn private(path: &Path, in_tree: bool) {
    let meta = fs::symlink_metadata(path).unwrap();
    let mode = meta.mode() & 0o777;
    let wanted: &[u32] = match (meta.is_dir(), in_tree) {
        (true, true) => &[0o555],
        (true, false) => &[0o700],
        (false, true) => &[0o444],
        (false, false) => &[0o600],
    };
    assert!(wanted.contains(&mode), "{}: {mode:o}", path.display());
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap().path();
            private(&entry, in_tree || path.file_name().is_some_and(|name| name == "store"));
        }
    }
}
