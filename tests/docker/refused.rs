//! What was not granted is refused by the host, and a daemon that is not there is said to be away.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use migraine_tests::docker::Daemon;
use migraine_tests::home::Home;
use migraine_tests::package::remade;
use serde_json::json;

use crate::manager::each_user;

const LIST: [&str; 4] = ["plugin", "execute", "docker-manager", "docker-list-containers"];

#[test]
fn a_daemon_that_is_away_is_said() {
    each_user(|manager| {
        let socket = manager.home.work().join("none.sock");
        let socket = socket.to_str().unwrap();
        let home = &manager.home;
        // Another socket is another grant.
        let set = ["plugin", "config", "docker-manager", "set", "docker_socket", socket];
        home.run(set).ends(6).says(&["consent_required", &format!("--grant network=unix:{socket}")]);
        home.run([&set[..], &["--yes", "--grant", "filesystem+network"]].concat()).ends(0);
        // Looked for before the plugin is even started.
        let done = home.run(LIST);
        done.ends(2).says(&[
            "error[dependency_missing]",
            "it needs `docker-socket`",
            &format!("there is no socket {socket}"),
        ]);
        done.says(&["Docker daemon running"]);
        // What a daemon left behind when it ended.
        drop(UnixListener::bind(socket).unwrap());
        // Whoever asks may connect; a socket's file belongs to whoever made it.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
        let done = home.run(LIST);
        done.ends(5).says(&[&format!("no Docker daemon answers at unix:{socket}: Connection refused")]);
        done.says(&["systemctl start docker"]);
    });
}

#[test]
fn a_copy_without_the_grant_does_not_reach_the_daemon() {
    each_user(|manager| {
        let home = &manager.home;
        manager.run(&["docker-list-containers"]).ends(0);
        let socket = manager.daemon.socket();
        let other = home.work().join("other.sock");
        let _listening = UnixListener::bind(&other).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o666)).unwrap();
        // The same code, signed again; its manifest asks for another socket, or for nothing.
        for permissions in [json!([]), json!([format!("network=unix:{}", other.display())])] {
            home.ok(&["plugin", "uninstall", "docker-manager"]);
            let parcel = remade("docker-manager", &json!({"permissions": permissions}));
            home.ok(&["plugin", "install", parcel.typed(), "--yes", "--allow-reuse", "1.0.0"]);
            home.ok(&["plugin", "config", "docker-manager", "set", "docker_socket", socket.to_str().unwrap()]);
            let line = format!("`connect` needs the permission {}, which was not granted", manager.network());
            home.run(LIST).ends(6).says(&[
                &format!("host: [docker-manager] permission_denied: {line}\n"),
                &format!("error[permission_denied]: plugin 'docker-manager' failed: {line}\n"),
            ]);
        }
    });
}

#[test]
fn the_grant_of_the_socket_is_that_socket_alone() {
    let Some(daemon) = Daemon::shared() else { return };
    let home = Home::new();
    let (socket, other) = (daemon.socket(), home.work().join("other.sock"));
    let granted = format!("network=unix:{}", socket.display());
    let parcel = remade("reach", &json!({"permissions": [granted], "config": {}}));
    home.ok(&["plugin", "install", parcel.typed(), "--yes", "--grant", &granted]);
    let talk = |endpoint: &str| {
        home.run(["plugin", "run", "reach", "talk", endpoint, "GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"])
    };
    // The control: the daemon itself answers.
    talk(&format!("unix:{}", socket.display())).ends(0).says(&["200 OK"]);
    let _listening = UnixListener::bind(&other).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for endpoint in [format!("unix:{}", other.display()), format!("127.0.0.1:{}", tcp.local_addr().unwrap().port())] {
        talk(&endpoint).ends(6).says(&["error[permission_denied]", &format!("network={endpoint}")]);
    }
    // The socket's own directory is not there for the plugin, and neither is any other file.
    for path in [daemon.folder().join("log"), socket.clone(), "/etc/passwd".into()] {
        let done = home.run(["plugin", "run", "reach", "read", path.to_str().unwrap()]);
        done.ends(5).says(&["No such file or directory"]);
    }
}
