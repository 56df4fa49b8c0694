//! Whoever starts the program may have left it too little (setrlimit(2)): it works all the same, or says which limit it is,
//! how much of it there is and what to do, and never takes that for what the machine lacks.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use migraine_tests::artifacts;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::run::User;
use migraine_tests::scripts::Script;
use serde_json::{Value, json};

/// The program in a home under a limit, as of prlimit(1).
fn command(home: &Home, user: User, limit: &str, args: &[&str]) -> Command {
    let product = home.product(args);
    let mut command = user.command(artifacts::attend());
    command.args(["prlimit", limit]).arg(product.get_program()).args(product.get_args()).env_clear();
    command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(home.work());
    command
}

fn under(home: &Home, user: User, limit: &str, args: &[&str]) -> Done {
    Done::of(&mut command(home, user, limit, args))
}

/// What is never said of a limit of the user's own.
const WRONG: [&str; 6] =
    ["panicked", "overflowed", "namespaces must be allowed", "AppArmor", "Linux 5.6", "core dumped"];

/// `doctor` and a run end with this code, and name the figure and the cure.
#[track_caller]
fn is_told(limit: &str, code: &str, says: &[&str]) {
    for &user in kernel::users() {
        let home = Script::bash_command("echo done").installed(Home::of(user));
        let head = format!("error[{code}]: ");
        let mut said = says.to_vec();
        said.extend([head.as_str(), "  help: "]);
        under(&home, user, limit, &["doctor"]).ends(6).says(&said).never_says(&WRONG);
        under(&home, user, limit, &["plugin", "run", "script", "go"]).ends(6).says(&said).never_says(&WRONG);
        let done = under(&home, user, limit, &["--format", "json", "doctor"]);
        let error: Value = serde_json::from_str(&done.ends(6).err).unwrap();
        assert_eq!((&error["code"], &error["exit"]), (&json!(code), &json!(6)), "{error}");
        if !done.out.is_empty() {
            let report: Value = serde_json::from_str(&done.out).unwrap();
            assert_eq!((&report["level"], &report["failure"]["code"]), (&json!("refused"), &json!(code)), "{report}");
            assert_eq!(report["failure"]["cure"], error["help"], "{report}");
        }
    }
}

#[test]
fn too_few_descriptors_are_told() {
    is_told("--nofile=12", "ulimit_low", &["12 open files", "at least 128", "`ulimit -n 1024`", "LimitNOFILE="]);
    is_told("--nofile=100", "ulimit_low", &["100 open files", "`ulimit -n 1024`"]);
    // What whoever starts the program can raise is not said to be root's.
    for &user in kernel::users() {
        let done = under(&Home::of(user), user, "--nofile=12:4096", &["doctor"]);
        done.ends(6).says(&["12 open files", "`ulimit -n 1024`"]).never_says(&["its hard limit", "LimitNOFILE="]);
    }
}

#[test]
fn too_small_a_stack_is_told_before_anything_is_read() {
    is_told("--stack=65536", "ulimit_low", &["64 KiB of stack", "at least 1 MiB", "`ulimit -s 8192`"]);
    for &user in kernel::users() {
        let done = under(&Home::of(user), user, "--stack=65536", &["plugin", "list"]);
        done.ends(6).says(&["error[ulimit_low]", "64 KiB of stack"]).never_says(&WRONG);
    }
}

#[test]
fn too_little_memory_is_told() {
    is_told(
        "--as=50000000",
        "ulimit_low",
        &["50000000 bytes of address space", "at least 64 MiB", "`ulimit -v unlimited`"],
    );
    is_told("--data=5000000", "ulimit_low", &["5000000 bytes of data", "at least 16 MiB", "`ulimit -d unlimited`"]);
}

#[test]
fn too_few_processes_are_told() {
    is_told(
        "--nproc=1",
        "sandbox_unavailable",
        &["1 processes and threads of this user", "`ulimit -u unlimited`", "end some"],
    );
}

#[test]
fn what_limits_enough_of_it_changes_nothing() {
    for &user in kernel::users() {
        let home = Script::bash_command("echo done").installed(Home::of(user));
        for limit in
            ["--memlock=0", "--core=0", "--cpu=1", "--msgqueue=0", "--sigpending=0", "--nofile=128", "--stack=1048576"]
        {
            under(&home, user, limit, &["doctor"]).ends(0).says(&["level        full"]);
            assert_eq!(under(&home, user, limit, &["plugin", "run", "script", "go"]).ends(0).out, "done\n", "{limit}");
        }
    }
}

#[test]
fn too_small_files_are_told() {
    const TOLD: [&str; 2] = ["1000 bytes for a file", "`ulimit -f unlimited`"];
    for &user in kernel::users() {
        let home = Script::bash_command(&format!("echo done # {}", "x".repeat(2000))).installed(Home::of(user));
        let doctor = under(&home, user, "--fsize=1000", &["doctor"]);
        doctor.ends(6).says(&TOLD).says(&["File too large"]).never_says(&WRONG);
        let ran = under(&home, user, "--fsize=1000", &["plugin", "run", "script", "go"]);
        ran.ends(1).says(&TOLD).says(&["error[io]", "cannot be handed over"]).never_says(&WRONG);
        // Standard output can be such a file, too.
        let path = home.write("report", "");
        let mut limited = command(&home, user, "--fsize=1000", &["plugin", "run", "--help"]);
        let to_file = |command: &mut Command, path: &Path| {
            let script = format!("exec \"$@\" >{}", path.display());
            let mut shell = Command::new("sh");
            shell.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args()).env_clear();
            shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir("/");
            Done::of(&mut shell)
        };
        let done = to_file(&mut limited, &path);
        done.ends(1).says(&TOLD).says(&["error[io]: cannot write to standard output"]).never_says(&WRONG);
        assert_eq!(fs::metadata(&path).unwrap().len(), 1000);
        drop(File::open(&path).unwrap());
    }
}

// The user's own limit is lower than the plugin's: it is that one which is reached, and told.
#[test]
fn a_plugin_that_reaches_a_limit_of_the_users_is_told_of_that_one() {
    let text = "def f(args, context):\n    if args: data = b'x' * (150 << 20)\n    while not args: pass\n";
    for &user in kernel::users() {
        let home = Script::python_command(text).installed(Home::of(user));
        let run = ["plugin", "run", "script", "go"];
        let done = under(&home, user, "--data=52428800", &[&run[..], &["memory"]].concat());
        done.ends(5).says(&["limit_memory", "memory limit of 50 MiB", "50 MiB of data", "`ulimit -d unlimited`"]);
        let done = under(&home, user, "--cpu=1", &run);
        done.ends(124).says(&["limit_cpu", "limit of 1 s", "1 s of CPU time", "`ulimit -t unlimited`"]);
        // Where only the plugin's own limit is reached, nothing is said of another.
        home.policy("limits: {memory: 64 MiB, cpu: 1}\n");
        home.run([&run[..], &["memory"]].concat()).ends(5).never_says(&["ulimit"]);
        home.run(run).ends(124).never_says(&["ulimit"]);
    }
}

#[test]
fn a_workflow_whose_commands_cannot_be_started_says_why() {
    for &user in kernel::users() {
        let home = Home::of(user);
        home.write("w.yaml", "name: w\nsteps: [{name: s, command: 'true'}]\n");
        let done = under(&home, user, "--nofile=8", &["run", "./w.yaml"]);
        done.ends(1).says(&["Too many open files", "8 open files", "`ulimit -n 1024`"]).never_says(&WRONG);
    }
}
