//! A plugin sees the directories that it was granted, as they are when it starts, and no others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::remade;
use serde_json::json;
use tempfile::TempDir;

/// A home with the plugin, granted these directories.
fn granted(scopes: &[&str]) -> Home {
    let home = Home::new();
    let permissions: Vec<String> = scopes.iter().map(|scope| format!("filesystem={scope}")).collect();
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    let mut line = vec!["plugin", "install", parcel.typed(), "--yes"];
    line.extend(permissions.iter().flat_map(|permission| ["--grant", permission.as_str()]));
    home.ok(&line);
    assert_eq!(home.status("reach"), "enabled");
    home
}

fn reach(home: &Home, command: &str, path: &Path) -> Done {
    home.run(["plugin", "run", "reach", command, path.to_str().unwrap()])
}

/// `data/file` and `other/file`, each with its name.
fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["data", "other"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("file"), name).unwrap();
    }
    folder
}

#[test]
fn a_granted_directory_is_read_and_no_other() {
    let folder = tree();
    let data = folder.path().join("data");
    let home = granted(&[&format!("read:{}", data.display())]);
    assert_eq!(reach(&home, "read", &data.join("file")).ends(0).out, "data");
    assert_eq!(reach(&home, "list", &data).ends(0).out, "file\n");
    for path in [folder.path().join("other/file"), data.join("../other/file"), "/etc/passwd".into()] {
        reach(&home, "read", &path).ends(5).says(&["No such file"]);
    }
}

#[test]
fn without_a_grant_nothing_is_read() {
    let folder = tree();
    let home = granted(&[]);
    reach(&home, "read", &folder.path().join("data/file")).ends(5).says(&["No such file"]);
}

// What was agreed to is what is shown: nothing that took its place.
#[test]
fn a_directory_that_is_gone_or_a_link_now_is_refused() {
    let folder = tree();
    let data = folder.path().join("data");
    let home = granted(&[&format!("read:{}", data.display())]);
    fs::remove_dir_all(&data).unwrap();
    let named = format!("the directory `{}` cannot be given to it: ", data.display());
    reach(&home, "list", &data).ends(6).says(&[&named, "it does not exist", "help:"]);
    symlink(folder.path().join("other"), &data).unwrap();
    reach(&home, "list", &data).ends(6).says(&[&named, "through a symbolic link"]);
    fs::remove_file(&data).unwrap();
    fs::write(&data, "").unwrap();
    reach(&home, "list", &data).ends(6).says(&[&named, "not a directory"]);
    // No failure of the plugin: nothing is counted against it.
    assert_eq!(home.status("reach"), "enabled");
    fs::remove_file(&data).unwrap();
    fs::create_dir(&data).unwrap();
    reach(&home, "list", &data).ends(0);
}
