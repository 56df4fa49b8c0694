//! `docker-logs`: what a container printed.

use std::process::Stdio;

use migraine_tests::docker::{Cleared, Daemon};
use migraine_tests::home::{Done, Home};
use migraine_tests::run::User;
use migraine_tests::terminal::converse;

use crate::manager::{Manager, each_user};

const STARTED: &str = "web: serving on port 80\n";
const FINE: &str = "web: nothing has gone wrong\n";

/// Starts a container and waits until it has printed its lines.
fn start(daemon: &Daemon, name: &str, port: &str) {
    daemon.image("logs:1");
    daemon.client(&["run", "--detach", "--name", name, "--publish", &format!("{port}:80"), "logs:1"]);
    daemon.get(port.parse().unwrap());
}

#[test]
fn both_streams_are_kept_apart() {
    each_user(|manager| {
        let (daemon, name, port) = (manager.daemon, manager.name("logs"), manager.port(18030));
        let _cleared = Cleared::new(daemon, &[&name]);
        start(daemon, &name, &port);
        let done = manager.run(&["docker-logs", "--container", &name]);
        assert_eq!(
            (done.ends(0).out.as_str(), done.err.as_str()),
            (&*format!("{STARTED}web: GET /page HTTP/1.0\n"), FINE)
        );
        let done = manager.run(&["docker-logs", "--container", &name, "--tail", "1"]);
        assert_eq!((done.ends(0).out.as_str(), done.err.as_str()), ("web: GET /page HTTP/1.0\n", ""));
        daemon.client(&["kill", &name]);
        manager.run(&["docker-logs", "--container", &name]).ends(0).says(&[STARTED, FINE]);
    });
}

#[test]
fn following_ends_with_the_container() {
    each_user(|manager| {
        let (daemon, name, port) = (manager.daemon, manager.name("followed"), manager.port(18032));
        let _cleared = Cleared::new(daemon, &[&name]);
        start(daemon, &name, &port);
        let words = ["plugin", "execute", "docker-manager", "docker-logs", "--container", &name, "--follow"];
        let mut command = manager.home.command(words);
        let done = std::thread::scope(|scope| {
            let following = scope.spawn(|| Done::of(command.stdin(Stdio::null())));
            daemon.get(port.parse().unwrap());
            daemon.client(&["kill", &name]);
            following.join().unwrap()
        });
        assert_eq!(done.ends(0).out, format!("{STARTED}{0}{0}", "web: GET /page HTTP/1.0\n"));
    });
}

#[test]
fn an_interrupt_ends_following() {
    let Some(daemon) = Daemon::shared() else { return };
    let manager = Manager::new(daemon, Home::new(), User::Root);
    let _cleared = Cleared::new(daemon, &["interrupted"]);
    start(daemon, "interrupted", "18034");
    let words = ["plugin", "execute", "docker-manager", "docker-logs", "--follow", "--container", "interrupted"];
    let done = converse(&manager.home, &words, &[], &[("GET /page", "\u{3}")]);
    assert_eq!(done.code, 130, "{done:?}");
    assert_eq!(daemon.inspect("interrupted")["State"]["Running"], true);
}

#[test]
fn a_container_that_is_not_there_is_said() {
    each_user(|manager| {
        let done = manager.run(&["docker-logs", "--container", "not-there"]);
        done.ends(5).says(&["error[plugin_failed]", "No such container: not-there"]);
        assert_eq!(done.err.lines().count(), 1);
    });
}
