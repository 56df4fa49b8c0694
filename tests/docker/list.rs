//! `docker-list-containers`, against what Docker's own client knows.

use migraine_tests::docker::Cleared;

use crate::manager::each_user;

/// The lines after the heading, each cut at its tabs.
fn rows(out: &str) -> Vec<Vec<&str>> {
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("CONTAINER ID\tIMAGE\t\tSTATUS\t\tNAMES"));
    lines.map(|line| line.split('\t').collect()).collect()
}

#[test]
fn a_container_of_somebody_else_is_listed() {
    each_user(|manager| {
        let (daemon, name) = (manager.daemon, manager.name("listed"));
        let _cleared = Cleared::new(daemon, &[&name]);
        daemon.image("listed:1");
        daemon.client(&["run", "--detach", "--name", &name, "listed:1"]);
        let id = daemon.inspect(&name)["Id"].as_str().unwrap()[..12].to_owned();
        let row = |args: &[&str]| {
            let done = manager.run(args);
            let rows = rows(&done.ends(0).out);
            rows.into_iter().find(|row| row[0] == id).map(|row| row.join("|"))
        };
        let running = row(&["docker-list-containers"]).unwrap();
        assert!(
            running.starts_with(&format!("{id}|listed:1|Up ")) && running.ends_with(&format!("|{name}")),
            "{running}"
        );
        daemon.client(&["kill", &name]);
        assert_eq!(row(&["docker-list-containers"]), None);
        let ended = row(&["docker-list-containers", "--all"]).unwrap();
        assert!(ended.starts_with(&format!("{id}|listed:1|Exited (137)")), "{ended}");
    });
}
