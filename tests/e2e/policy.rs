//! The policy files bind every install, every grant and every run; the administrator's binds the user.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{plugin, remade, typed};
use migraine_tests::run::User;
use migraine_tests::{artifacts, kernel};
use serde_json::{Value, json};
use tempfile::TempDir;

const SYSTEM: &str = "/etc/migraine/policy.yaml";

/// Writes the user's own policy and gives its path.
fn policy(home: &Home, text: &str) -> PathBuf {
    let path = home.path().join("policy.yaml");
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The directory `/etc` as some runs see it, with a policy of the administrator's.
struct Etc(TempDir);

impl Etc {
    /// Only root can show runs another `/etc`.
    fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            kernel::skip("a policy of the administrator's", "this is not root");
            return None;
        }
        let etc = Self(tempfile::tempdir().unwrap());
        let copied = Command::new("cp").arg("-a").arg("/etc/.").arg(etc.0.path()).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(etc.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(etc.0.path().join("migraine")).unwrap();
        Some(etc)
    }

    fn policy(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("migraine/policy.yaml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn run(&self, home: &Home, args: &[&str]) -> Done {
        let product = home.command(args);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\""]).arg(self.0.path());
        command.arg(product.get_program()).args(product.get_args()).env_clear();
        command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Done::of(command.current_dir(home.work()).stdin(Stdio::null()))
    }
}

/// What is limited of a plugin, and by which file.
fn limit(info: &Value, what: &str) -> (String, String) {
    let limits = info["rules"]["limits"].as_array().unwrap();
    let limit = limits.iter().find(|limit| limit["what"] == what).unwrap_or_else(|| panic!("no {what}: {limits:?}"));
    let text = |key: &str| limit[key].as_str().unwrap_or_default().to_owned();
    (text("most"), text("capped_by"))
}

fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap()
}

#[test]
fn unsigned_plugins_are_allowed_as_the_policy_says() {
    let home = Home::new();
    let parcel = plugin("hello-world").unsigned();
    let install = ["plugin", "install", parcel.typed(), "--yes"];
    let flagged = [&install[..], &["--allow-unsigned"]].concat();
    home.refused(&install, "signature_missing");
    let path = policy(&home, "require_signatures: always");
    let refused = |line: &[&str]| {
        let error = home.refused(line, "policy_refused");
        let named = format!("(require_signatures in {})", path.display());
        assert!(error["exit"] == 6 && message(&error).contains(&named), "{error}");
    };
    refused(&install);
    refused(&flagged);
    policy(&home, "require_signatures: true");
    home.refused(&install, "signature_missing");
    policy(&home, "allow_unsigned_dev: true");
    home.ok(&install);
    home.ok(&["plugin", "hello-world", "hello"]);
    // What was installed before does not run any more.
    policy(&home, "{require_signatures: always, allow_unsigned_dev: true}");
    for line in [&["plugin", "hello-world", "hello"][..], &["plugin", "verify", "hello-world"], &install] {
        refused(line);
    }
    home.ok(&["plugin", "disable", "hello-world"]);
    refused(&["plugin", "enable", "hello-world"]);
    policy(&home, "allow_unsigned_dev: true");
    home.ok(&["plugin", "enable", "hello-world"]);

    // What spares the flag does not take the signature off a plugin that has one.
    let signed = plugin("hello-world");
    home.install(&signed);
    home.refused(&install, "signature_missing");
    home.ok(&flagged);
}

#[test]
fn a_package_is_no_larger_than_the_policy_says() {
    let home = Home::new();
    let large = artifacts::library("hello-world");
    assert!(fs::metadata(large).unwrap().len() > 10 << 20, "with all that a debugger needs");
    let install = ["plugin", "install", typed(large), "--allow-unsigned", "--yes"];
    let error = home.refused(&install, "limit_package");
    assert!(message(&error).ends_with("10 MiB is the most (max_plugin_size, by default)"), "{error}");
    policy(&home, "max_plugin_size: 64 MiB");
    home.ok(&install);
    let path = policy(&home, "max_plugin_size: 64 KiB");
    let parcel = plugin("hello-world");
    for file in [parcel.library.clone(), parcel.package()] {
        let error = home.refused(&["plugin", "install", typed(&file)], "limit_package");
        assert!(message(&error).ends_with(&format!("(max_plugin_size in {})", path.display())), "{error}");
    }
}

#[test]
fn a_package_holds_files_that_the_policy_allows() {
    let home = Home::new();
    let parcel = plugin("hello-world");
    let package = parcel.package();
    let path = policy(&home, "allowed_extensions: [md]");
    let error = home.refused(&["plugin", "install", typed(&package)], "policy_refused");
    let named = format!("(allowed_extensions in {})", path.display());
    assert!(message(&error).contains("`plugin.json`") && message(&error).ends_with(&named), "{error}");
    // The plugin's own library needs no permission.
    home.install(&parcel);
    policy(&home, "allowed_extensions: [json]");
    home.ok(&["plugin", "install", typed(&package)]);
}

#[test]
fn combinations_of_the_policy_need_their_own_words() {
    let home = Home::new();
    let parcel = remade("reach", &json!({"permissions": ["task_read", "network=localhost:80"], "config": {}}));
    let install = ["plugin", "install", parcel.typed(), "--yes"];
    policy(&home, "dangerous_permission_combos: [[network, task_read]]");
    let done = home.run(install);
    done.ends(6).says(&["--grant task_read+network", "DANGEROUS: the policy calls the two together dangerous"]);
    assert_eq!(home.status("reach"), "installed");
    home.ok(&["plugin", "enable", "reach", "--grant", "network+task_read"]);
    let other = Home::new();
    other.ok(&install);
}

#[test]
fn nobody_grants_more_than_the_policy_allows() {
    let home = Home::new();
    let path =
        policy(&home, "permissions: {network: ['*.example.com:443'], exec: [], filesystem: {read: [/usr/share]}}");
    let refused = |permissions: &[&str], flags: &[&str], key: &str| {
        let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
        let error = home.refused(&[&["plugin", "install", parcel.typed()], flags].concat(), "policy_refused");
        let named = format!("(permissions.{key} in {})", path.display());
        assert!(message(&error).contains(&named), "{error}");
        home.refused(&["plugin", "info", "reach"], "plugin_not_found");
        error
    };
    refused(&["exec=git"], &[], "exec");
    refused(&["exec=git"], &["--yes", "--grant", "exec=git"], "exec");
    refused(&["network=other.example:443"], &["--yes"], "network");
    refused(&["filesystem=read:/usr"], &["--yes"], "filesystem");
    refused(&["filesystem=read:*"], &["--grant", "filesystem=read:/usr"], "filesystem");
    let error = refused(&["network"], &["--grant", "network"], "network");
    assert_eq!(error["help"], "grant what is allowed of it: --grant 'network=*.example.com:443'");
    let parcel = remade("reach", &json!({"permissions": ["network", "filesystem=read:*"], "config": {}}));
    let grants = ["--grant", "network=*.example.com:443", "--grant", "filesystem=read:/usr/share"];
    let pair = ["--grant", "filesystem+network"];
    home.ok(&[&["plugin", "install", parcel.typed(), "--yes"], &grants[..], &pair].concat());
    let error = home.refused(&["plugin", "enable", "reach", "--grant", "network=a.example.org:443"], "policy_refused");
    assert!(message(&error).contains("permissions.network"), "{error}");
    assert_eq!(home.json(&["plugin", "info", "reach"])["rules"]["capped"], json!([]));
}

#[test]
fn a_cap_binds_what_was_granted_before() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("localhost:{}", server.local_addr().unwrap().port());
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().canonicalize().unwrap();
    fs::write(directory.join("file"), "content").unwrap();
    let file = directory.join("file");
    let permissions =
        [format!("network={endpoint}"), "exec=true".to_owned(), format!("filesystem=read:{}", directory.display())];
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    for &user in kernel::users() {
        let home = Home::of(user);
        user.give(&directory);
        user.give(&file);
        let give = |path: &Path| user.give(path);
        let mut line = vec!["plugin", "install", parcel.typed(), "--yes"];
        line.extend(["--grant", "filesystem+network", "--grant", "filesystem+exec"]);
        home.ok(&line);
        home.ok(&["plugin", "reach", "exec", "true"]);
        assert_eq!(home.ok(&["plugin", "reach", "read", typed(&file)]).out, "content");
        let path = policy(&home, "permissions: {network: ['*.example.com:443'], exec: [ls], filesystem: false}");
        give(&path);
        for (command, wanted, key) in [
            (&["talk", endpoint.as_str(), "x"][..], format!("network={endpoint}"), "network"),
            (&["exec", "true"], "exec=true".to_owned(), "exec"),
        ] {
            let error = home.refused(&[&["plugin", "reach"], command].concat(), "permission_denied");
            let named = format!("{wanted} was granted, but {} does not allow it (permissions.{key})", path.display());
            assert!(error["exit"] == 6 && message(&error).contains(&named), "{error}");
        }
        let done = home.run(["plugin", "reach", "read", typed(&file)]);
        done.ends(5).says(&["No such file", "was granted, and is not in force", "(permissions.filesystem)"]);
        let shown = home.ok(&["plugin", "info", "reach"]);
        shown.says(&["capped", &format!("network={endpoint} was granted, and is not in force: {}", path.display())]);
        let info = home.json(&["plugin", "info", "reach"]);
        assert_eq!(info["rules"]["capped"].as_array().unwrap().len(), 3, "{info}");
        assert_eq!(info["grants"].as_array().unwrap().len(), 3, "what the user granted stays");
        // It can still be switched off and on, and taken back.
        home.ok(&["plugin", "disable", "reach"]);
        home.ok(&["plugin", "enable", "reach"]);
        home.ok(&["plugin", "revoke", "reach", "exec=true"]);
        fs::remove_file(&path).unwrap();
        let done = home.run(["plugin", "enable", "reach", "--grant", "exec=true", "--grant", "filesystem+exec"]);
        done.ends(0);
        home.ok(&["plugin", "reach", "exec", "true"]);
    }
}

#[test]
fn limits_of_the_policy_hold_and_are_shown() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    for (limit, command, code, word) in [
        ("cpu: 1", &["spin"][..], "limit_cpu", "1 s"),
        ("command_wall: 1", &["sleep"], "limit_time", "1 s"),
        ("memory: 32 MiB", &["hog"], "limit_memory", "32 MiB"),
        ("output: 64 KiB", &["flood-stderr"], "limit_output", "64 KiB"),
        ("command_output: 1 MiB", &["flood-out", "2"], "limit_output", "1024 KiB"),
        ("log: 64 KiB", &["flood-log"], "limit_output", "64 KiB"),
        ("host_calls: 5", &["many-calls", "6"], "limit_calls", "5"),
    ] {
        policy(&home, &format!("limits: {{{limit}}}"));
        let error = home.refused(&[&["plugin", "run", "hostile"], command].concat(), code);
        assert!(message(&error).contains(word), "{limit}: {error}");
    }
    home.ok(&["plugin", "enable", "hostile"]);
    let path = policy(
        &home,
        "limits: {memory: 32 MiB, cpu: 2, command_wall: 3, hook_wall: 4, descriptors: 5, processes: 6, file_size: 1 MiB, \
         scratch: 2 MiB, scratch_files: 7, command_output: 3 MiB, output: 64 KiB, log: 128 KiB, host_calls: 1000000}",
    );
    let info = home.json(&["plugin", "info", "hostile"]);
    for (what, most) in [
        ("memory", "32 MiB"),
        ("CPU time", "2 s in each 30 s"),
        ("time of a command", "3 s"),
        ("time of a hook", "4 s"),
        ("open files", "5"),
        ("threads", "6"),
        ("size of a file", "1 MiB"),
        ("scratch", "2 MiB"),
        ("files in the scratch", "7"),
        ("output of a command", "3 MiB"),
        ("stray output of one call", "64 KiB"),
        ("log lines of one call", "128 KiB"),
    ] {
        assert_eq!(limit(&info, what), (most.to_owned(), path.display().to_string()));
    }
    assert_eq!(limit(&info, "requests of one call"), ("100000".to_owned(), String::new()), "a cap never raises");
    home.ok(&["plugin", "info", "hostile"]).says(&[&format!("memory: 32 MiB, capped by {}", path.display())]);
    home.ok(&["plugin", "run", "hostile", "quiet"]);
}

#[test]
fn a_hooks_handler_has_the_time_of_the_policy() {
    let home = Home::new();
    let hooks = json!([{"event": "pre-command", "handler": "seen", "on_failure": "fail"}]);
    let config = json!({"behave": "{\"pre-command\":\"hang\"}", "init": ""});
    home.install(&remade("hooks", &json!({"hooks": hooks, "permissions": [], "config": config})));
    home.write("w.yaml", "steps: [{command: 'true'}]");
    policy(&home, "limits: {hook_wall: 1}");
    home.run(["run", "./w.yaml", "--hook-timeout", "20"]).ends(124).says(&["limit of 1 s", "limit_time"]);
}

#[test]
fn limits_of_the_policy_hold_for_programs_and_connections() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("localhost:{}", server.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
    let home = Home::granting("reach", &[format!("network={endpoint}"), "exec=sh".to_owned(), "exec=head".to_owned()]);
    policy(&home, "limits: {connections: 2, scratch: 64 KiB}");
    home.ok(&["plugin", "reach", "many", &endpoint, "2"]);
    home.run(["plugin", "reach", "many", &endpoint, "3"]).ends(5).says(&["a call may make 2 connections"]);
    let write = ["plugin", "reach", "exec", "sh", "--", "-c", "head -c 1000000 /dev/zero >file"];
    home.run(write).says(&["No space left"]);
    policy(&home, "{}");
    assert_eq!(home.ok(&write).out, "exit 0\n");
}

#[test]
fn public_addresses_are_reached_through_the_proxy_of_the_policy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = proxy.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfrom the proxy").unwrap();
        // Gone before the client has written, it would be an error.
        stream.read_to_end(&mut Vec::new()).unwrap();
        String::from_utf8(head).unwrap()
    });
    let home = Home::granting("reach", &["network=93.184.215.14:80".to_owned()]);
    policy(&home, &format!("proxy: http://localhost:{port}/"));
    let done = home.run(["plugin", "reach", "talk", "93.184.215.14:80", "x"]);
    assert_eq!(done.ends(0).out, "from the proxy");
    assert!(asked.join().unwrap().starts_with("CONNECT 93.184.215.14:80 "));
}

#[test]
fn a_policy_that_cannot_be_understood_stops_everything() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    let hello = ["plugin", "hello-world", "hello"];
    for (text, key) in [
        ("require_signatures: false", "require_signatures"),
        ("allow_unsigned_dev: yes please", "allow_unsigned_dev"),
        ("max_plugin_size: 1 TB", "max_plugin_size"),
        ("allowed_extensions: so", "allowed_extensions"),
        ("dangerous_permission_combos: [exec]", "dangerous_permission_combos"),
        ("permissions: {network: [example.com]}", "permissions.network"),
        ("limits: {memory: 64}", "limits.memory"),
        ("limits: {memori: 64 MiB}", "memori"),
        ("proxy: socks5://localhost:1080", "proxy"),
        ("proxies: localhost:1080", "proxies"),
        ("cpu:\n", "cpu"),
    ] {
        let path = policy(&home, text);
        for line in [&hello[..], &["plugin", "info", "hello-world"], &["plugin", "enable", "hello-world"]] {
            let error = home.refused(line, "policy_invalid");
            assert_eq!(error["exit"], 3);
            let said = message(&error);
            assert!(said.contains(&*path.to_string_lossy()) && said.contains(key), "{text:?}: {said}");
            assert!(error["help"].as_str().unwrap().contains("correct the file"), "{error}");
        }
    }
    let path = policy(&home, "{}");
    home.ok(&hello);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
    let error = home.refused(&hello, "insecure_permissions");
    assert!(message(&error).contains("others can write to it") && message(&error).contains("policy.yaml"), "{error}");
}

#[test]
fn the_administrators_policy_binds_the_user() {
    let Some(etc) = Etc::new() else { return };
    let (parcel, unsigned) = (plugin("hostile"), plugin("hello-world").unsigned());
    for &user in kernel::users() {
        let home = Home::of(user);
        let own = policy(
            &home,
            "{allow_unsigned_dev: true, max_plugin_size: 64 MiB, limits: {command_wall: 20, cpu: 1}, proxy: 'a:1'}",
        );
        user.give(&own);
        fs::set_permissions(etc.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        etc.policy("{require_signatures: always, max_plugin_size: 9 MiB, limits: {command_wall: 1, cpu: 5}}");
        let refused = |line: &[&str], code: &str, words: &[&str]| {
            let done = etc.run(&home, line);
            done.says(&[&format!("error[{code}]")]).says(words);
            assert_ne!(done.code, 0);
        };
        let install = ["plugin", "install", unsigned.typed(), "--yes", "--allow-unsigned"];
        refused(&install, "policy_refused", &[&format!("(require_signatures in {SYSTEM})")]);
        let large = artifacts::library("hello-world");
        let readable = home.write("large.so", "");
        fs::copy(large, &readable).unwrap();
        etc.policy("{max_plugin_size: 9 MiB, limits: {command_wall: 1, cpu: 5}}");
        let large = ["plugin", "install", typed(&readable), "--yes"];
        refused(&large, "limit_package", &[&format!("(max_plugin_size in {SYSTEM})")]);
        etc.run(&home, &["plugin", "install", parcel.typed(), "--yes"]).ends(0);
        refused(&["plugin", "run", "hostile", "sleep"], "limit_time", &["limit of 1 s"]);
        let shown = etc.run(&home, &["plugin", "info", "hostile"]);
        shown.ends(0).says(&[
            &format!("time of a command: 1 s, capped by {SYSTEM}"),
            &format!("CPU time: 1 s in each 30 s, capped by {}", own.display()),
        ]);
        // Neither the variable nor another file moves it.
        fs::remove_file(&own).unwrap();
        refused(&["plugin", "run", "--timeout", "20", "hostile", "sleep"], "limit_time", &["limit of 1 s"]);
        let path = etc.policy("limits: {cpus: 1}");
        refused(&["plugin", "run", "hostile", "quiet"], "policy_invalid", &[SYSTEM, "cpus"]);
        etc.policy("{}");
        etc.run(&home, &["plugin", "run", "hostile", "quiet"]).ends(0);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        refused(&["plugin", "run", "hostile", "quiet"], "insecure_permissions", &[SYSTEM, "others can write"]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        refused(&["plugin", "run", "hostile", "quiet"], "insecure_permissions", &[SYSTEM, "belongs to user 12345"]);
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        if user == User::Plain {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            refused(&["plugin", "run", "hostile", "quiet"], "policy_invalid", &[SYSTEM, "cannot open it"]);
        }
    }
}
