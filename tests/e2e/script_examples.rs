//! The example plugins that are scripts, from their files to what they leave behind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel::users;
use migraine_tests::package::typed;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

fn installed(home: &Home, name: &str, more: &[&str]) {
    let source = format!("{EXAMPLES}/{name}");
    home.ok(&[&["plugin", "install", &source, "--allow-unsigned", "--yes"], more].concat());
}

fn workflow(home: &Home, commands: &[&str]) {
    let steps: String = commands.iter().map(|command| format!("  - name: step\n    command: {command}\n")).collect();
    home.write("work.yaml", &format!("name: work\ndescription: a test\nsteps:\n{steps}"));
}

// covers: S4, S6, S17, S21, S22, S23, S24, S25, S67, S68
#[test]
fn the_log_processor_writes_and_rotates() {
    for &user in users() {
        let home = Home::of(user);
        installed(&home, "log-processor/log-processor.yaml", &["--grant", "filesystem=write:."]);
        workflow(&home, &["echo first", "echo second"]);
        home.ok(&["run", "work"]);
        let log = home.work().join("workflow.log");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("first") && text.contains("second") && text.contains("[work]"), "{text}");
        // The file is larger than the limit now, so it is moved first.
        home.ok(&["plugin", "config", "log-processor", "set", "max_file_size", "0KB"]);
        workflow(&home, &["echo third"]);
        home.ok(&["run", "work"]);
        let old = fs::read_to_string(home.work().join("workflow.log.old")).unwrap();
        assert!(old.contains("second") && !old.contains("third"), "{old}");
        assert!(fs::read_to_string(&log).unwrap().contains("third"));
    }
}

#[test]
fn without_its_directory_the_log_processor_says_which_it_needs() {
    let home = Home::new();
    fs::create_dir(home.work().join("granted")).unwrap();
    installed(&home, "log-processor/log-processor.yaml", &[]);
    home.ok(&["plugin", "config", "log-processor", "set", "log_file", "./granted/a.log", "--yes"]);
    home.run(["plugin", "revoke", "log-processor", "filesystem"]).ends(0);
    workflow(&home, &["echo first"]);
    let _ = home.run(["run", "work"]);
    assert!(!home.work().join("granted/a.log").exists());
    home.refused(&["plugin", "enable", "log-processor"], "consent_required");
}

// covers: S6
#[test]
fn the_server_monitor_counts() {
    let home = Home::new();
    installed(&home, "server-monitor", &[]);
    home.ok(&["plugin", "run", "server-monitor", "status"]).says(&["no server was started"]);
    workflow(&home, &["echo server a start", "echo other", "echo server a start"]);
    home.ok(&["run", "work"]);
    home.ok(&["plugin", "run", "server-monitor", "status"]).says(&["echo server a start: 2 starts, 0 failures"]);
    home.run(["plugin", "run", "server-monitor", "status", "x"]).ends(1).says(&["usage:"]);
}

// covers: S6, S70, S71
#[test]
fn the_notification_reaches_its_webhook_and_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(b"}") {
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "{request:?}");
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    let home = Home::new();
    let source = format!("{EXAMPLES}/notification");
    home.run(["plugin", "install", &source, "--allow-unsigned"]).ends(6);
    home.ok(&["plugin", "config", "notification", "set", "endpoint", &endpoint]);
    home.ok(&["plugin", "enable", "notification", "--yes"]);
    workflow(&home, &["echo done"]);
    home.ok(&["run", "work"]);
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(r#""event": "post-workflow""#) && request.contains(r#""workflow": "work""#), "{request}");
    // Nobody listens there any more: a warning, and the workflow is not stopped by it.
    home.ok(&["run", "work"]).says(&["notification"]);
}

// covers: S6, S68
#[test]
fn file_operations_stay_in_granted_directories() {
    for &user in users() {
        let home = Home::of(user);
        home.write("in/a.txt", "abc");
        home.write("out/b.txt", "");
        home.write("secret/c.txt", "secret");
        installed(&home, "file-operations", &["--grant", "filesystem=read:in", "--grant", "filesystem=write:out"]);
        let path = |name: &str| typed(&home.work().canonicalize().unwrap().join(name)).to_owned();
        let call = |words: &[&str]| -> Done { home.run([&["plugin", "run", "file-operations"], words].concat()) };
        call(&["list", &path("in")]).ends(0).says(&["3  a.txt"]);
        call(&["copy", &path("in/a.txt"), &path("out/a.txt")]).ends(0).says(&["copied"]);
        assert_eq!(fs::read_to_string(home.work().join("out/a.txt")).unwrap(), "abc");
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        call(&["checksum", &path("out/a.txt")]).ends(0).says(&[digest]);
        for words in [
            &["list", &path("secret")][..],
            &["checksum", &path("secret/c.txt")],
            &["copy", &path("in/a.txt"), &path("in/b.txt")],
            &["copy", &path("in/a.txt"), &path("out/a.txt")],
            &["checksum", "/etc/passwd"],
        ] {
            let done = call(words);
            assert!(done.code != 0 && done.err.contains("is its directory granted?"), "{words:?}: {done:?}");
            done.never_says(&["secret\n"]);
        }
        call(&["list"]).ends(1).says(&["usage:"]);
        assert!(!home.work().join("in/b.txt").exists());
    }
}

// covers: S5, S89, S91
#[test]
fn a_perl_program_is_a_plugin() {
    let home = Home::new();
    installed(&home, "line-stats", &[]);
    home.ok(&["plugin", "info", "line-stats"]).says(&["script: perl"]);
    for (command, said) in [("count", "2 lines, 3 words, 6 bytes"), ("longest", "a b")] {
        let input = home.write("input", "a b\nccc\n");
        let mut command = home.command(["plugin", "run", "line-stats", command]);
        Done::of(command.stdin(fs::File::open(input).unwrap())).ends(0).says(&[said]);
    }
    home.run(["plugin", "run", "line-stats", "count", "--help"]).ends(0).says(&["usage: line-stats"]);
    assert_ne!(home.run(["plugin", "run", "line-stats", "unknown"]).code, 0);
}
