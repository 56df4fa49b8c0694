//! The daemon of the tests: real containers, and nothing left of it afterwards.

use std::path::Path;

use migraine_tests::docker::{Cleared, Daemon};
use migraine_tests::run::is_running;

/// Cgroups of containers of a daemon with this folder.
fn cgroups(folder: &Path) -> Vec<String> {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let found = std::process::Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", name]).output();
    String::from_utf8(found.unwrap().stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_container_answers_and_nothing_is_left() {
    let Some(daemon) = Daemon::shared() else { return };
    let _cleared = Cleared::new(daemon, &["plain"]);
    daemon.image("plain:1");
    daemon.client(&["run", "--detach", "--name", "plain", "--publish", "18000:80", "plain:1"]);
    assert_eq!(daemon.get(18000), "hello from the container\n");
}

#[test]
fn the_end_of_a_daemon_is_the_end_of_everything_it_started() {
    if Daemon::shared().is_none() {
        return;
    }
    let daemon = Daemon::start("1");
    daemon.image("left:1");
    daemon.client(&["run", "--detach", "--name", "left", "left:1"]);
    let container = i32::try_from(daemon.inspect("left")["State"]["Pid"].as_i64().unwrap()).unwrap();
    let (folder, holder) = (daemon.folder().to_owned(), daemon.holder());
    assert!(!cgroups(&folder).is_empty() && is_running(holder), "{container}");
    drop(daemon);
    assert!(!is_running(holder) && !folder.exists());
    assert_eq!(cgroups(&folder), Vec::<String>::new());
}
