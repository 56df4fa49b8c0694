//! Every way to end has its code, its exit code and its reason, and leaves nothing behind (each run is held to that).

use std::process::Stdio;
use std::time::Duration;

use migraine_tests::home::Home;
use migraine_tests::package::plugin;
use migraine_tests::run::Background;
use migraine_tests::scripts::Script;

fn check(home: &Home, command: &[&str], code: &str, exit: i32, word: &str) {
    let line = [&["plugin", "run", "--timeout", "1", "hostile"], command].concat();
    let error = home.refused(&line, code);
    assert_eq!(error["exit"], exit, "{command:?}: {error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("hostile") && message.contains(word), "{command:?}: {message}");
}

#[test]
fn endings_have_their_codes() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    for (command, code, exit, word) in [
        (&["spin"][..], "limit_time", 124, "limit of 1 s"),
        (&["sleep"], "limit_time", 124, "limit of 1 s"),
        (&["block-signals"], "limit_time", 124, "limit of 1 s"),
        (&["panic"], "plugin_panicked", 5, "as asked"),
        (&["abort"], "plugin_crashed", 5, "crashed"),
        (&["segfault"], "plugin_crashed", 5, "SIGSEGV"),
        (&["exit", "0"], "plugin_exited", 5, "0"),
        (&["exit", "3"], "plugin_exited", 5, "3"),
        (&["garbage"], "protocol_error", 5, ""),
        (&["flood-stdout"], "limit_output", 5, ""),
        (&["flood-stderr"], "limit_output", 5, ""),
        (&["ptrace", "1"], "sandbox_violation", 5, "ptrace"),
    ] {
        check(&home, command, code, exit, word);
        // The next call gets a new worker.
        home.ok(&["plugin", "run", "hostile", "quiet"]);
    }
}

#[test]
fn hogs_and_bombs_end_without_hurting_anybody() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    let line = |command: &str| ["plugin", "run", "--timeout", "20", "hostile", command].map(str::to_owned);
    let run = |command: &str| {
        let line = line(command);
        let done = home.run(["--format", "json"].iter().map(ToString::to_string).chain(line));
        let last = done.err.lines().last().unwrap_or_default().to_owned();
        let error: serde_json::Value = serde_json::from_str(&last).unwrap_or_else(|_| panic!("{done:?}"));
        done.ends(5);
        error["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(run("hog"), "limit_memory");
    // No process can be made at all.
    assert_eq!(home.ok(&["plugin", "run", "hostile", "fork-bomb"]).out, "fork-bomb: refused EPERM\n");
    home.ok(&["plugin", "run", "hostile", "quiet"]);
}

#[test]
fn a_start_that_hangs_ends_in_the_calls_time() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    home.ok(&["plugin", "config", "hooks", "set", "init", "hang"]);
    let error = home.refused(&["plugin", "run", "--timeout", "1", "hooks", "settings"], "limit_time");
    assert_eq!(error["exit"], 124);
    let done = home.run(["plugin", "run", "--timeout", "1", "hooks", "settings"]);
    assert!(done.took < Duration::from_secs(5), "{done:?}");
    for (way, code) in [("panic", "plugin_panicked"), ("abort", "plugin_crashed"), ("error", "plugin_failed")] {
        home.ok(&["plugin", "config", "hooks", "set", "init", way]);
        assert_eq!(home.refused(&["plugin", "hooks", "settings"], code)["exit"], 5, "{way}");
    }
}

/// When the program itself is killed, everything it started goes with it.
#[test]
fn nothing_survives_the_program() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    for signal in ["KILL", "TERM", "INT", "HUP"] {
        let mut attend = home.command(["plugin", "run", "hostile", "sleep"]).spawn().unwrap();
        let own = attend.id();
        let children = format!("/proc/{own}/task/{own}/children");
        let mut launcher = false;
        while !launcher {
            let program = std::fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            let below = std::fs::read_to_string(format!("/proc/{program}/task/{program}/children"));
            launcher = !program.is_empty() && below.is_ok_and(|below| !below.trim().is_empty());
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(30));
        let program = std::fs::read_to_string(&children).unwrap().trim().to_owned();
        let kill = std::process::Command::new("kill").args([&format!("-{signal}"), &program]).status().unwrap();
        assert!(kill.success());
        let code = attend.wait().unwrap().code();
        assert!(code.is_some_and(|code| code > 128), "{signal}: {code:?}");
    }
}

#[test]
fn what_a_call_used_is_told() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    let done = home.run(["--verbose", "plugin", "run", "hostile", "burn", "200"]);
    let line = done.ends(0).err.lines().find(|line| line.contains("CPU time")).expect("a line about the call");
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall, cpu, peak, bytes_in, ..] = numbers[..] else { panic!("{line}") };
    assert!(wall >= 0.2 && (0.2..10.0).contains(&cpu) && peak > 500.0 && bytes_in > 20.0, "{line}");
    // It is counted for each call, also for one that ended badly.
    let spun = home.run(["--verbose", "plugin", "run", "--timeout", "1", "hostile", "spin"]);
    spun.ends(124).says(&["CPU time"]);
    home.run(["plugin", "run", "hostile", "quiet"]).ends(0).never_says(&["CPU time"]);
}

// The process that starts a launcher ends right away, and nothing of it may stay for as long as a workflow runs.
#[test]
fn what_started_a_launcher_is_collected() {
    let home = Script::bash("pre-command", "printf '{}'").installed(Home::new());
    home.write("w.yaml", "name: w\nsteps: [{name: s, command: 'sleep 5; true'}]");
    let mut run = Background(home.product(["run", "./w.yaml"]).stdout(Stdio::null()).spawn().unwrap());
    let children = || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", run.0.id())).unwrap().flatten();
        let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let all: Vec<String> =
            lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
        all.iter().filter_map(|child| std::fs::read_to_string(format!("/proc/{child}/stat")).ok()).collect::<Vec<_>>()
    };
    // The launcher, whose worker has answered, and the step.
    let is_done = |children: &[String]| children.len() == 2 && children.iter().any(|stat| stat.contains("(sh) S"));
    let began = std::time::Instant::now();
    while !is_done(&children()) {
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", children());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(run.0.wait().unwrap().success());
}
