//! Who only looks leaves nothing behind: a machine that has seen nothing stays so until something is installed or trusted.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{key, plugin, typed};

/// Everything below a directory: mode, time of change and content.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if metadata.is_dir() {
            found.extend(everything(&path));
        }
        found.insert(path, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
    }
    found
}

/// A home of a user that does not exist yet; and the directory that it would be in.
fn nobody(user: migraine_tests::run::User) -> (Home, PathBuf) {
    let home = Home::of(user);
    fs::remove_dir_all(home.path()).unwrap();
    let around = home.work().parent().unwrap().to_owned();
    (home, around)
}

#[test]
fn looking_at_things_makes_nothing() {
    let parcel = plugin("hello-world");
    let (package, trust) = (parcel.package(), key().public().fingerprint().to_string());
    let file = typed(&package);
    for &user in users() {
        let (home, around) = nobody(user);
        home.write("w.yaml", "name: w\nsteps: [{command: 'true'}]\n");
        home.write("dir/README.md", "# Nothing");
        let before = everything(&around);
        let lines: [(&[&str], &str); 19] = [
            (&["key", "untrust", &trust], "key_not_found"),
            (&["key", "revoke", &trust], "key_not_found"),
            (&["key", "show", &trust], "key_not_found"),
            (&["plugin", "list"], "works"),
            (&["plugin", "info", file], "works"),
            (&["plugin", "info", "hello-world"], "plugin_not_found"),
            (&["plugin", "verify", file], "untrusted_key"),
            (&["plugin", "verify", "hello-world"], "plugin_not_found"),
            (&["plugin", "audit"], "works"),
            (&["plugin", "audit", file], "works"),
            (&["plugin", "outdated"], "works"),
            (&["plugin", "fsck"], "works"),
            (&["plugin", "install", file, "--dry-run"], "untrusted_key"),
            (&["plugin", "install", file, "--dry-run", "--trust-key", &trust], "works"),
            (&["plugin", "install", "dir", "--dry-run"], "file_not_found"),
            (&["plugin", "run", "hello-world", "hello"], "plugin_not_found"),
            (&["key", "list"], "works"),
            (&["run", "w.yaml"], "works"),
            (&["doctor"], "works"),
        ];
        for (line, expected) in lines {
            assert_eq!(home.word(line), expected, "{line:?}");
            assert_eq!(everything(&around), before, "{line:?} left something");
        }
        assert!(home.run(["plugin", "list"]).out.contains("Summary: 0 total"), "the list is empty");
    }
}

#[test]
fn the_first_change_makes_a_private_home() {
    for &user in users() {
        for line in
            [&["key", "trust", &key().public().to_string(), "--scope", "hello-world"][..], &["plugin", "trust-project"]]
        {
            let (home, _) = nobody(user);
            fs::create_dir(home.work().join("plugins")).unwrap();
            home.ok(line);
            let metadata = fs::metadata(home.path()).unwrap();
            assert_eq!(metadata.mode() & 0o7777, 0o700, "{line:?}");
            home.ok(&["plugin", "list"]);
        }
    }
}
