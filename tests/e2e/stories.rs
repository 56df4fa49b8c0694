//! What the first users were promised, by the letter: the command lines of the two documents that this program began with,
//! and what they answer.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use migraine_tests::home::Home;
use migraine_tests::package::plugin;
use migraine_tests::terminal::converse;

use super::fetch::each_user;

/// The one container of a daemon that is none.
const CONTAINERS: &str = r#"[{"Id":"0123456789abcdef0123","Image":"nginx:1","Status":"Up 2 hours","Names":["/web"]}]"#;

/// Answers every request as a Docker daemon does that has one container.
fn daemon(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            loop {
                let lines = stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                let Some(first) = lines.collect::<Vec<_>>().into_iter().next() else { break };
                let body = if first.contains("/containers/json") { CONTAINERS } else { "{}" };
                let length = body.len();
                let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: ";
                if stream.get_mut().write_all(format!("{head}{length}\r\n\r\n{body}").as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
}

// covers: S92, S93, S94
#[test]
fn a_docker_plugin_comes_from_its_authors_page() {
    each_user(|site| {
        let url = site.put("/user/docker-manager-plugin/plugin.mgp", &plugin("docker-manager"));
        let page = url.strip_suffix("/plugin.mgp").unwrap();
        let socket = site.home.work().join("docker.sock");
        daemon(&socket);
        let socket = socket.to_str().unwrap();
        // Install a Docker management plugin. It asks for the Docker service, which nobody grants by accident.
        let done = site.run(&["plugin", "install", page]);
        done.ends(6).says(&[
            "Plugin 'docker-manager' installed successfully",
            &url,
            "migraine plugin enable docker-manager",
        ]);
        site.home.run(["plugin", "config", "docker-manager", "set", "docker_socket", socket]).ends(0);
        let enable = ["plugin", "enable", "docker-manager", "--yes", "--grant"];
        let network = format!("network=unix:{socket}");
        let directory = format!("filesystem=read:{}", site.home.work().display());
        site.home.ok(&[&enable[..], &[&network, "--grant", &directory, "--grant", "filesystem+network"]].concat());
        // List available plugins.
        let list = site.home.ok(&["plugin", "list"]);
        list.says(&["docker-manager       ", "enabled", "Summary: 1 total, 1 enabled, 0 disabled, 0 errors"]);
        // Use Docker plugin to list containers.
        let done = site.home.ok(&["plugin", "execute", "docker-manager", "docker-list-containers"]);
        assert_eq!(done.out, "CONTAINER ID\tIMAGE\t\tSTATUS\t\tNAMES\n0123456789ab\tnginx:1\tUp 2 hours\tweb\n");
    });
}

// covers: S223, S225, S226, S232, S233, S234, S235
#[test]
fn hello_world_is_installed_enabled_run_and_listed() {
    let home = Home::new();
    let folder = home.path().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(plugin("hello-world").package(), folder.join("hello-world.mgp")).unwrap();
    let says = |line: &str, lines: &[&str]| {
        let words: Vec<&str> = line.split(' ').collect();
        let done = converse(&home, &words, &[("LANG", "C.UTF-8"), ("NO_COLOR", "1")], &[]);
        let text = done.out.replace("\r\n", "\n");
        assert_eq!(done.code, 0, "{line}: {text}");
        for expected in lines {
            assert!(text.lines().any(|line| line == *expected), "{line}: `{expected}` is missing: {text}");
        }
    };
    says("plugin install hello-world", &["✅ Plugin 'hello-world' installed successfully"]);
    says("plugin enable hello-world", &["✅ Plugin 'hello-world' enabled successfully"]);
    says("plugin run hello-world hello", &["Hello, World!"]);
    says("plugin run hello-world greet Marathon", &["Hello, Marathon! Greetings from the hello-world plugin."]);
    says(
        "plugin list",
        &[
            "Plugins:",
            "=========",
            "Name                 Version    Status       Description",
            "----                 -------    ------       -----------",
            "hello-world          1.0.0      ✅ enabled   A simple hello world plugin",
            "Summary: 1 total, 1 enabled, 0 disabled, 0 errors",
        ],
    );
}
