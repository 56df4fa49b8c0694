//! Everything that a manifest says is shown, of what is installed and of files.

use std::fs;

use migraine_tests::home::Home;
use migraine_tests::package::{other_key, plugin, remade, typed};
use serde_json::{Value, json};

/// The manifest of the first design document, as it stands there.
const DOCKER_MANAGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/docker-manager");

// covers: S73, S77, S78, S79, S80, S81, S82, S83, S84, S85, S86, S87, S88, S99, S100
#[test]
fn a_manifest_in_yaml_is_shown_with_every_field() {
    let home = Home::new();
    let path = format!("{DOCKER_MANAGER}/plugin.yaml");
    let info = home.json(&["plugin", "info", &path]);
    let field = |name: &str| &info[name];
    assert_eq!((field("name"), field("version")), (&json!("docker-manager"), &json!("1.0.0")));
    assert_eq!(field("description"), "Docker container and image management tools");
    assert_eq!((field("author"), field("license")), (&json!("Plugin Developer"), &json!("MIT")));
    assert_eq!(field("dependencies"), &json!(["docker", "docker-socket"]));
    assert_eq!(field("install_requires"), &json!(["docker CLI tools", "Docker daemon running"]));
    assert_eq!(field("config"), &json!({"docker_socket": "/var/run/docker.sock", "default_registry": "docker.io"}));
    let hook = &info["hooks"][0];
    assert_eq!(hook["event"], "workflow:post-deploy");
    assert_eq!(hook["command"], "docker-logs --container {{container_name}}");
    let commands: Vec<_> = info["commands"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(commands.len(), 4);
    let build = json!({
        "name": "docker-build-image", "description": "Build Docker image from context",
        "usage": "migraine plugin docker-manager docker-build-image --file Dockerfile --tag myimage:latest"
    });
    assert_eq!(info["commands"][1], build);
    assert!(info["status"] == "discovered" && info["path"] == json!(path), "{info}");
    let done = home.ok(&["plugin", "info", &path]);
    for value in ["name", "version", "description", "author", "license"] {
        done.says(&[field(value).as_str().unwrap()]);
    }
    done.says(&["workflow:post-deploy runs `docker-logs --container {{container_name}}`", "\"docker-socket\""]);
    done.says(&["docker_socket = \"/var/run/docker.sock\"", "\"Docker daemon running\"", "cannot be installed"]);
    for command in info["commands"].as_array().unwrap() {
        for part in ["name", "description", "usage"] {
            done.says(&[command[part].as_str().unwrap()]);
        }
    }
    // The directory means the same, and JSON says the same.
    let mut same = home.json(&["plugin", "info", DOCKER_MANAGER]);
    assert_eq!(same, info);
    let text = json!({"name": info["name"], "version": info["version"], "description": info["description"],
        "author": info["author"], "license": info["license"], "commands": info["commands"], "hooks": info["hooks"],
        "dependencies": info["dependencies"], "config": info["config"], "install_requires": info["install_requires"]});
    let copy = home.write("docker/plugin.json", &text.to_string());
    same = home.json(&["plugin", "info", "./docker"]);
    assert_eq!(same["path"], "./docker/plugin.json");
    same["path"] = json!(path);
    assert_eq!(same, info, "{}", copy.display());
}

#[test]
fn what_is_no_manifest_is_told() {
    let home = Home::new();
    home.write("bad/plugin.yaml", "name: Bad\nversion: 1.0\n");
    home.write("wrong/plugin.yml", "name: Wrong\nversion: \"1\"\nhooks: [{event: post-command, command: gone}]\n");
    home.write("two/plugin.yaml", "name: two\nversion: \"1.0.0\"\n");
    home.write("two/plugin.json", "{}");
    fs::create_dir(home.work().join("none")).unwrap();
    let refused = |path: &str, code: &str, words: &[&str]| {
        let error = home.refused(&["plugin", "info", path], code);
        let message = error["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    refused("./bad", "manifest_invalid", &["bad/plugin.yaml", "expected a string"]);
    refused("./wrong", "manifest_invalid", &["name:", "version:", "no command `gone`"]);
    refused("./two", "manifest_invalid", &["plugin.yaml", "plugin.json"]);
    refused("./none", "file_not_found", &["no plugin.yaml"]);
    refused("./absent.yaml", "file_not_found", &["absent.yaml"]);
    refused("absent", "plugin_not_found", &["absent"]);
    for path in [DOCKER_MANAGER, "./two/plugin.yaml"] {
        let error = home.refused(&["plugin", "install", path, "--yes", "--allow-unsigned"], "not_a_plugin");
        assert!(error["message"].as_str().unwrap().contains("no code to install"), "{error}");
        assert!(error["help"].as_str().unwrap().contains("migraine plugin info"), "{error}");
    }
}

#[test]
fn a_file_is_judged_and_shown_without_being_installed() {
    let home = Home::new();
    let parcel = plugin("hello-world");
    let before = home.snapshot();
    for path in [parcel.library.clone(), parcel.package()] {
        let info = home.json(&["plugin", "info", typed(&path)]);
        assert_eq!((&info["name"], &info["status"]), (&json!("hello-world"), &json!("discovered")), "{info}");
        assert!(info["signature"]["kind"] == "signed" && info["commands"][0]["name"] == "hello", "{info}");
        assert_eq!(info["license"], "MIT");
    }
    assert_eq!(home.snapshot(), before);
    // Of what nobody trusts no more than the index is read.
    let stranger = plugin("hello-world").signed(&other_key());
    let info = home.json(&["plugin", "info", stranger.typed()]);
    assert!(info["problem"].as_str().unwrap().contains("untrusted_key"), "{info}");
    assert_eq!((&info["commands"], &info["signature"]["kind"]), (&json!([]), &json!("not_trusted")));
}

#[test]
fn what_is_installed_is_shown_with_its_manifest() {
    let home = Home::new();
    let hooks = json!([{"event": "workflow:post-deploy", "command": "typed {{container_name}}"}]);
    let commands = json!([{"name": "typed", "timeout": 600}, {"name": "stream", "timeout": "none"}]);
    let changes = json!({"name": "shown", "author": "Somebody", "license": "MIT OR Apache-2.0", "hooks": hooks,
        "commands": commands, "install_requires": ["a running daemon"], "permissions": ["task_read"]});
    home.install(&remade("hooks", &changes));
    let info = home.json(&["plugin", "info", "shown"]);
    assert_eq!((&info["author"], &info["license"]), (&json!("Somebody"), &json!("MIT OR Apache-2.0")));
    assert_eq!(info["install_requires"], json!(["a running daemon"]));
    assert_eq!((&info["hooks"][0]["command"], &info["grants"]), (&hooks[0]["command"], &json!(["task_read"])));
    assert_eq!(info["commands"][0]["granted_timeout"], 600);
    home.ok(&["plugin", "info", "shown"]).says(&[
        "Somebody",
        "MIT OR Apache-2.0",
        "a running daemon",
        "workflow:post-deploy runs `typed {{container_name}}`",
        "asks for 600 seconds: granted",
        "asks for no time limit: granted",
    ]);
    // A list stays one look at the state.
    let list = home.json(&["plugin", "list"]);
    assert_eq!(list["plugins"][0].get("author"), None);
}
