//! Every call of a command reaches the plugin as it was typed, and its output comes back as it was written.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::plugin;
use migraine_tests::terminal::{converse, watch_errors};
use serde_json::{Value, json};

const WAYS: [&[&str]; 3] = [&["plugin", "run"], &["plugin", "execute"], &["plugin"]];

fn with_hooks() -> Home {
    let home = Home::new();
    home.install(&plugin("hooks"));
    home
}

// covers: S94, S95, S232, S237
#[test]
fn hello_world_says_what_the_reference_says() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    for way in WAYS {
        let hello = home.ok(&[way, &["hello-world", "hello"]].concat());
        assert_eq!((hello.out.as_str(), hello.err.as_str()), ("Hello, World!\n", ""));
        let greet = home.ok(&[way, &["hello-world", "greet", "Ada"]].concat());
        assert_eq!(
            (greet.out.as_str(), greet.err.as_str()),
            ("Hello, Ada! Greetings from the hello-world plugin.\n", "")
        );
    }
}

// covers: S96
#[test]
fn what_stands_after_the_command_is_the_plugins() {
    let home = with_hooks();
    let typed = |way: &[&str], words: &[&str]| {
        let done = home.ok(&[way, &["hooks", "typed"], words].concat());
        serde_json::from_str::<Value>(&done.out).unwrap()
    };
    let lists: [&[&str]; 6] = [
        &[],
        &["", "a b", "'$HOME'", "é\n\t\u{1F600}"],
        &["--", "--help", "-x", "--format", "json", "--", "-V", "--yes"],
        &["--", "", "-", "--timeout", "1"],
        &["install", "list", "run", "help"],
        &["{{who}}", "%s", "\\"],
    ];
    for words in lists {
        for way in WAYS {
            let told = typed(way, words);
            assert_eq!(told["typed"], json!(words), "{way:?}");
            let after = if words.first() == Some(&"--") { &words[1..] } else { words };
            assert_eq!(told["words"], json!(after), "{way:?}");
        }
    }
    // The host's own options after the command are the plugin's to judge.
    for option in ["-x", "--format", "--verbose", "--timeout=3", "--yes", "-V"] {
        let done = home.run(["plugin", "run", "hooks", "typed", option]);
        done.ends(1).says(&["unexpected argument", "Usage: migraine plugin run hooks typed"]);
        assert!(done.out.is_empty(), "{done:?}");
    }
    for help in ["--help", "-h"] {
        let done = home.ok(&["plugin", "hooks", "typed", help]);
        done.says(&["Print what was typed, as JSON", "Usage: migraine plugin run hooks typed"]);
        let done = home.ok(&["plugin", "hooks", help]);
        done.says(&["Commands:", "typed", "Print what was typed, as JSON"]);
    }
}

#[test]
fn what_is_not_text_is_refused_before_the_plugin_runs() {
    let home = with_hooks();
    let broken = OsStr::from_bytes(b"bro\xffken");
    for words in [["hooks".as_ref(), "put".as_ref(), broken], ["hooks".as_ref(), broken, "x".as_ref()]] {
        for way in [&["plugin", "run"][..], &["plugin"]] {
            let line = way.iter().map(OsStr::new).chain(words);
            let done = home.run(line);
            done.ends(1).says(&["not UTF-8"]);
            assert!(done.out.is_empty() && done.err.contains('\u{fffd}'), "{done:?}");
        }
    }
    let line = ["--format", "json", "plugin", "hooks", "typed"].iter().map(OsStr::new).chain([broken]);
    let done = home.run(line);
    let error: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!((error["code"].as_str(), done.code), (Some("usage"), 1));
}

#[test]
fn the_caller_is_described() {
    let home = with_hooks();
    let told: Value = serde_json::from_str(&home.ok(&["plugin", "hooks", "typed"]).out).unwrap();
    assert_eq!(told["directory"], json!(home.work().canonicalize().unwrap()));
    assert_eq!((&told["terminal"], &told["width"]), (&json!(false), &json!(80)));
    let done = converse(&home, &["plugin", "hooks", "typed"], &[], &[]);
    let told: Value = serde_json::from_str(done.out.trim()).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    assert_eq!((&told["terminal"], &told["width"]), (&json!(true), &json!(100)));
}

#[test]
fn standard_input_goes_to_commands_that_declare_it() {
    let home = with_hooks();
    let feed = |command: &str, text: &[u8]| {
        let mut program = home.command(["plugin", "hooks", command]);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let text = text.to_vec();
        let thread = std::thread::spawn(move || drop(writer.write_all(&text)));
        let done = Done::of(program.stdin(reader));
        drop(program);
        thread.join().unwrap();
        done
    };
    let long = "é".repeat(200_000);
    assert_eq!(feed("cat", long.as_bytes()).ends(0).out, long);
    assert_eq!(feed("cat", b"").ends(0).out, "");
    feed("settings", b"nobody reads this").ends(0);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let home = with_hooks();
    for way in ["plugin run hooks lines 100000", "plugin list", "--format json plugin list", "plugin --help"] {
        let mut shell = std::process::Command::new("/bin/bash");
        let program = migraine_tests::artifacts::migraine().display();
        let script =
            format!("set -o pipefail; {program} {way} | head -n 1; echo \"code $?\"; exec >&-; {program} {way}");
        shell.arg("-c").arg(script).env_clear().env("MIGRAINE_HOME", home.path()).env("PATH", "/usr/bin:/bin");
        let done = Done::of(shell.current_dir(home.work()).stdin(Stdio::null()));
        assert_eq!(done.out.lines().last(), Some("code 0"), "{way}: {done:?}");
        assert_eq!(done.out.lines().count(), 2, "{way}: {done:?}");
        assert!(!done.err.contains("panicked"), "{way}: {done:?}");
        assert!(!done.err.contains("rror"), "{way}: nobody is there to be told: {done:?}");
    }
    // A full disk is an error.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = home.command(["plugin", "list"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn what_a_plugin_prints_past_the_host_is_shown_as_its_own() {
    let home = with_hooks();
    let done = home.ok(&["plugin", "hooks", "behave", "print"]);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", "[hooks] a stray line\n"));
    let done = home.ok(&["--format", "json", "plugin", "hooks", "behave", "print"]);
    let line: Value = serde_json::from_str(done.err.trim()).unwrap();
    assert_eq!(line, json!({"plugin": "hooks", "kind": "output", "message": "a stray line"}));
}

// covers: A197
#[test]
fn control_sequences_are_the_plugins_own_affair_except_on_a_terminal() {
    let home = Home::new();
    let parcel = plugin("hello-world");
    home.install(&parcel);
    let escape = "\u{1b}[6n\u{1b}]52;c;aGk=\u{7}Ada";
    assert!(home.ok(&["plugin", "hello-world", "greet", escape]).out.contains('\u{1b}'));
    let done = converse(&home, &["plugin", "hello-world", "greet", escape], &[], &[]);
    assert!(done.code == 0 && !done.out.contains('\u{1b}') && done.out.contains("Ada!"), "{done:?}");
}

// covers: A197
#[test]
fn no_stream_and_no_event_is_a_way_past_the_terminals_filter() {
    let home = with_hooks();
    home.ok(&["plugin", "config", "hooks", "set", "behave", r#"{"pre-workflow": "escape"}"#]);
    home.write("w.yaml", "name: x\nsteps: [{name: a, command: 'true'}]");
    let command = ["plugin", "hooks", "escape"];
    let raw = home.ok(&command);
    assert!(raw.out.contains("\u{1b}[6n") && raw.err.contains("\u{1b}[6n"), "{raw:?}");
    // A hook has nobody's standard output: both of its pieces are shown on standard error.
    for (args, errors) in [(&command[..], 1), (&["run", "./w.yaml"], 2)] {
        for (done, times) in [(converse(&home, args, &[], &[]), 2), (watch_errors(&home, args), errors)] {
            let is_safe = !done.out.contains(['\u{1b}', '\u{9b}', '\u{7}']);
            assert!(done.code == 0 && is_safe && done.out.matches("asked").count() == times, "{args:?}: {done:?}");
        }
    }
}
