//! A program that was granted runs in a sandbox of its own, and no other program does.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::package::remade;
use migraine_tests::run::{PLAIN, User};
use serde_json::{Value, json};

/// What the dynamic loader is on this machine.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A home with the plugin, which holds these permissions, used by one user.
pub(crate) struct Bench {
    pub(crate) home: Home,
    user: User,
}

impl Bench {
    pub(crate) fn new(user: User, permissions: &[&str]) -> Self {
        let home = Home::new();
        let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
        let mut line = vec!["plugin", "install", parcel.typed(), "--yes"];
        line.extend(permissions.iter().flat_map(|permission| ["--grant", permission]));
        for pair in ["filesystem+exec", "env_vars+exec", "filesystem+network"] {
            let mut kinds = pair.split('+');
            let are_held = kinds.all(|kind| permissions.iter().any(|held| held.starts_with(kind)));
            line.extend(are_held.then_some(["--grant", pair]).into_iter().flatten());
        }
        home.ok(&line);
        assert_eq!(home.status("reach"), "enabled");
        let bench = Self { home, user };
        bench.give(bench.home.path().parent().unwrap());
        bench
    }

    /// Gives a directory with all that is in it to the user.
    pub(crate) fn give(&self, path: &Path) {
        if self.user == User::Plain && nix::unistd::geteuid().is_root() {
            let done = Command::new("chown").arg("-R").arg(format!("{PLAIN}:{PLAIN}")).arg(path).status();
            assert!(done.unwrap().success());
        }
    }

    /// A directory of the user, with a file.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.home.write(&format!("{name}/file"), "content\n");
        let path = self.home.work().canonicalize().unwrap().join(name);
        self.give(&path);
        path
    }

    pub(crate) fn run(&self, options: &[&str], words: &[&str]) -> Done {
        self.typed(&[options, &["plugin", "run", "reach", "exec"], &words[..1], &["--"], &words[1..]].concat())
    }

    /// Runs the product as the user.
    fn typed(&self, words: &[&str]) -> Done {
        let product = self.home.command(words);
        let mut command = self.user.command(Path::new(product.get_program()));
        command.args(product.get_args()).env_clear();
        command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("SECRET", "s3cr3t").env("TOKEN", "t0k3n");
        Done::of(command.current_dir(self.home.work()).stdin(Stdio::null()))
    }

    pub(crate) fn exec(&self, words: &[&str]) -> Done {
        self.run(&[], words)
    }

    /// What a script prints, and how it ends.
    fn shell(&self, script: &str) -> Done {
        self.exec(&["sh", "-c", script])
    }
}

pub(crate) fn everybody(check: impl Fn(User)) {
    kernel::users().iter().for_each(|user| check(*user));
}

/// Output, error output and exit code of a program that was run.
fn is(done: &Done, out: &str, err: &str, code: i32) {
    assert_eq!(
        (done.ends(0).out.as_str(), done.err.as_str()),
        (format!("{out}exit {code}\n").as_str(), err),
        "{done:?}"
    );
}

#[test]
fn output_and_status_come_back() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=/usr/bin/printf", "exec=sh", "exec=cat", "exec=sleep"]);
        // No shell comes between.
        is(&bench.exec(&["printf", "%s|", "a b", "$HOME", ";ls", "*", ""]), "a b|$HOME|;ls|*||", "", 0);
        is(&bench.exec(&["/usr/bin/printf", "x\\n"]), "x\n", "", 0);
        is(&bench.shell("echo out; echo err >&2; exit 7"), "out\n", "err\n", 7);
        is(&bench.shell("kill -9 $$"), "", "", 137);
        is(&bench.shell("kill -TERM $$"), "", "", 143);
        // Standard input is empty; the working directory is the program's own.
        is(&bench.shell("cat; echo x >new && cat new && pwd && echo *"), "x\n/tmp\nnew\n", "", 0);
        is(&bench.shell("echo *"), "*\n", "", 0);
        // What it leaves in the background ends with it.
        is(&bench.shell("sleep 300 & echo started"), "started\n", "", 0);
        let done = bench.run(&["--verbose"], &["sh", "-c", "exit 3"]);
        let file = fs::canonicalize("/bin/sh").unwrap();
        done.says(&[&format!("host: [reach] ran `{}`: exit 3\n", file.display())]);
    });
}

#[test]
fn only_granted_programs_run() {
    let bench = Bench::new(User::Root, &["exec=env", "exec=no-such-program"]);
    for program in ["ls", "/bin/ls", "/usr/bin/envx", "/nowhere/ls"] {
        let line = format!("`exec` needs the permission exec={program}, which was not granted");
        bench.exec(&[program]).ends(6).says(&[
            &format!("host: [reach] permission_denied: {line}\n"),
            &format!("error[permission_denied]: plugin 'reach' failed: {line}\n"),
            &format!("migraine plugin enable reach --grant exec={program}\n"),
        ]);
    }
    for program in ["./env", "env -i", "../bin/env"] {
        bench.exec(&[program]).ends(5).says(&["is not a program's name or absolute path"]);
    }
    let done = bench.exec(&["no-such-program"]);
    done.ends(5).says(&["there is no program `no-such-program` in /usr/local/bin, /usr/bin, /bin"]);
    Bench::new(User::Root, &[]).exec(&["env"]).ends(6).says(&["permission_denied", "exec=env"]);
}

// covers: A201, for programs
#[test]
fn a_program_sees_granted_variables_alone() {
    let base = ["LANG=C.UTF-8", "MIGRAINE_API=1.0", "RAYON_NUM_THREADS=2", "TMPDIR=/tmp"];
    let base: Vec<&str> =
        base.into_iter().chain(["TOKIO_WORKER_THREADS=2", "TZ=UTC", "PATH=/usr/local/bin:/usr/bin:/bin"]).collect();
    let check = |permissions: &[&str], more: &[&str]| {
        let done = Bench::new(User::Root, permissions).exec(&["env"]);
        let mut lines: Vec<&str> = done.ends(0).out.lines().filter(|line| !line.starts_with("exit ")).collect();
        let mut expected = [base.as_slice(), more].concat();
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected, "{done:?}");
    };
    check(&["exec=env"], &[]);
    check(&["exec=env", "env_vars=TOKEN"], &["TOKEN=t0k3n"]);
}

// covers: A29, for programs
#[test]
fn a_program_starts_no_other() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=sh", "exec=cat", "exec=chmod"]);
        for (script, code) in [
            ("/bin/ls /usr", 126),
            ("ls /usr", 126),
            ("/usr/bin/env", 126),
            // What was written is no program either.
            ("cat /bin/ls >ls && chmod 755 ls && ./ls /usr", 126),
            // Nor is it one for the loader, which any program may start.
            (&format!("{LOADER} /bin/ls /usr"), 127),
            (&format!("cat /bin/ls >ls && chmod 755 ls && {LOADER} ./ls /usr"), 127),
        ] {
            let done = bench.shell(script);
            assert!(
                done.ends(0).out.ends_with(&format!("exit {code}\n")) && !done.out.contains("lib"),
                "{script}: {done:?}"
            );
        }
        // By the same ways it starts one that was granted.
        let bench = Bench::new(user, &["exec=sh", "exec=ls"]);
        for script in ["/bin/ls /usr", "ls /usr", &format!("{LOADER} /bin/ls /usr")] {
            bench.shell(script).ends(0).says(&["lib\n", "exit 0\n"]);
        }
    });
}

#[test]
fn every_program_is_every_program_of_the_system() {
    let bench = Bench::new(User::Root, &["exec"]);
    bench.shell("env | grep LANG; /bin/ls -d /usr").ends(0).says(&["LANG=C.UTF-8\n/usr\nexit 0\n"]);
    let program = bench.home.work().canonicalize().unwrap().join("program");
    fs::copy("/bin/true", &program).unwrap();
    let program = program.display().to_string();
    bench.exec(&[&program]).ends(6).says(&["is none of the system's programs", &format!("--grant exec={program}")]);
}

#[test]
fn a_program_sees_the_system_to_read_and_granted_directories() {
    everybody(|user| {
        let bench = Bench::new(user, &[]);
        let (reads, writes, other) = (bench.directory("reads"), bench.directory("writes"), bench.directory("other"));
        let [read, write] =
            [("read", &reads), ("write", &writes)].map(|(a, d)| format!("filesystem={a}:{}", d.display()));
        let programs = ["exec=sh", "exec=cat", "exec=ls", "exec=mkdir", "exec=rm", "exec=chmod", "exec=touch"];
        let bench = Bench { home: Bench::new(user, &[&programs[..], &[&read, &write]].concat()).home, user };
        // None of the machine's own.
        for path in [
            "/etc/passwd",
            "/etc/shadow",
            "/etc/hostname",
            "/home",
            "/root",
            "/var",
            "/proc/1",
            "/proc/self",
            "/sys",
            "/run",
            "/dev/shm",
            "/dev/tty",
            "/mnt",
            "/boot",
            "/etc/ssl/private",
        ] {
            is(&bench.shell(&format!("[ -e {path} ] || echo none")), "none\n", "", 0);
        }
        let at = |path: &Path, name: &str| path.join(name).display().to_string();
        is(&bench.shell(&format!("[ -e {} ] || echo none", other.display())), "none\n", "", 0);
        is(&bench.shell(&format!("cat {} {}", at(&reads, "file"), at(&writes, "file"))), "content\ncontent\n", "", 0);
        bench.shell("ls /usr/lib /usr/bin").ends(0).says(&["os-release\n", "env\n", "exit 0\n"]);
        for place in ["/", "/usr/", "/usr/bin/", "/usr/lib/", "/etc/", "/dev/", &at(&reads, "")] {
            for act in ["echo x >{}new", "mkdir {}new"] {
                let done = bench.shell(&act.replace("{}", place));
                assert!(!done.ends(0).out.contains("exit 0"), "{place}: {done:?}");
            }
        }
        let new = at(&writes, "new");
        is(&bench.shell(&format!("echo x >{new} && chmod 640 {new} && touch {new} && cat {new}")), "x\n", "", 0);
        let metadata = fs::metadata(writes.join("new")).unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (fs::metadata(&writes).unwrap().uid(), 0o640));
        let done = bench.shell(&format!("chmod 4755 {new}"));
        assert!(!done.ends(0).out.contains("exit 0"), "{done:?}");
        assert_eq!(fs::metadata(writes.join("new")).unwrap().mode() & 0o7777, 0o640);
        is(&bench.shell(&format!("rm {new}")), "", "", 0);
        assert!(!writes.join("new").exists());
    });
}

#[test]
fn a_program_starts_where_it_is_told_and_reads_what_it_is_given() {
    let bench = Bench::new(User::Root, &[]);
    let folder = bench.directory("data");
    let directory = format!("filesystem=read:{}", folder.display());
    let bench = Bench::new(User::Root, &["exec=cat", "exec=sh", &directory]);
    let ask = |body: &Value| bench.home.run(["plugin", "run", "reach", "ask", "exec", &body.to_string()]);
    let answer = |body: &Value| -> Value { serde_json::from_str(&ask(body).ends(0).out).unwrap() };
    let program = json!({"program": "cat", "args": ["file", "-"], "cwd": folder, "stdin": "given\n"});
    assert_eq!(answer(&program), json!({"exit_code": 0, "stdout": "content\ngiven\n", "stderr": ""}));
    let large = "x".repeat(100_000);
    let program = json!({"program": "sh", "args": ["-c", "read line; echo ${#line}"], "stdin": large});
    assert_eq!(answer(&program)["stdout"], "100000\n");
    for (body, said) in [
        (json!({"program": "cat", "cwd": "/usr"}), "a program starts in a granted directory, and `/usr` is none"),
        (json!({"program": "cat", "cwd": folder.join("none")}), "`cat` cannot be started: No such file"),
        (json!({"program": "cat", "args": ["a\0b"]}), "an argument of a program holds no NUL byte"),
        (json!({"program": "cat", "shell": true}), "unknown field `shell`"),
        (json!({}), "missing field `program`"),
    ] {
        ask(&body).ends(5).says(&["error[plugin_failed]", said]);
    }
}

// From the second one on its keeper waits for it. Each has its own input, and a directory of its own.
#[test]
fn programs_run_one_after_the_other() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=sh"]);
        let script = "read line; read -r rest; echo $line ${#rest} >note; read all <note; echo $all; echo *";
        let stdin = format!("given\n{}\n", "x".repeat(100_000));
        let program = json!({"program": "sh", "args": ["-c", script], "stdin": stdin});
        let done = bench.typed(&["plugin", "run", "reach", "ask-again", "5", "exec", &program.to_string()]);
        let answers: Vec<Value> = done.ends(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = json!({"exit_code": 0, "stdout": "given 100000\nnote\n", "stderr": ""});
        assert_eq!(answers, vec![expected; 5]);
    });
}

#[test]
fn a_program_reaches_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = format!("echo x >/dev/tcp/127.0.0.1/{}", listener.local_addr().unwrap().port());
    everybody(|user| {
        let bench = Bench::new(user, &["exec=bash"]);
        let done = bench.exec(&["bash", "-c", &script]);
        assert!(done.ends(0).out.ends_with("exit 1\n"), "{done:?}");
        assert!(listener.accept().is_err());
        // Nothing is connected to by way of the plugin either.
        bench.exec(&["bash", "-c", "echo works"]).says(&["works\nexit 0\n"]);
    });
    assert!(Command::new("bash").args(["-c", &script]).status().unwrap().success());
    assert!(listener.accept().is_ok(), "outside it works");
}

// covers: A58, A63
#[test]
fn a_program_is_limited() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=sh", "exec=sleep", "exec=yes"]);
        // More processes than it may have: the rest of the machine can go on.
        let done = bench.shell("i=0; while [ $i -lt 64 ]; do sleep 50 & i=$((i+1)); echo $i; done");
        let number = done.ends(0).out.lines().filter_map(|line| line.parse::<u32>().ok()).max();
        assert!((10..32).contains(&number.unwrap_or_default()), "{done:?}");
        done.says(&["fork"]);
        bench.shell("f() { f | f & }; f; sleep 1; echo over").ends(0);
        // Each process is below its limit; together they are not.
        let grow = "x=xxxxxxxx; while [ ${#x} -lt 60000000 ]; do x=$x$x; done; sleep 50";
        let done = bench.shell(&format!("for i in 1 2 3 4 5 6 7 8; do ({grow}) & done; wait"));
        done.ends(5).says(&["the program `sh` reached its memory limit of 256 MiB"]);
        let done = bench.exec(&["yes"]);
        done.ends(5).says(&["the output of `yes` is larger than its limit of 1024 KiB"]);
        let done = bench.run(&[], &["sleep", "2"]);
        is(&done, "", "", 0);
    });
}

#[test]
fn a_program_ends_with_its_call() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=sh", "exec=sleep"]);
        for script in ["while :; do :; done", "sleep 300 & sleep 300", "trap '' TERM INT HUP; sleep 300; sleep 300"] {
            let product =
                bench.home.command(["plugin", "run", "--timeout", "2", "reach", "exec", "sh", "--", "-c", script]);
            let mut command = user.command(Path::new(product.get_program()));
            command.args(product.get_args()).env_clear();
            command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
            Done::of(command.current_dir(bench.home.work())).ends(124).says(&["limit_time"]);
        }
    });
}

#[test]
fn a_program_does_not_outlive_the_plugin() {
    let bench = Bench::new(User::Root, &["exec=sleep"]);
    let words = ["plugin", "run", "--timeout", "300", "reach", "abandon", "sleep", "--", "299"];
    bench.home.run(words).ends(5).says(&["plugin_crashed"]);
}

// covers: A27, for programs
#[test]
fn a_setuid_program_gives_no_rights() {
    if !nix::unistd::geteuid().is_root() {
        return kernel::skip("a program of root's", "this is not root");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let (program, secret) = (path.join("cat"), path.join("secret"));
    fs::copy("/bin/cat", &program).unwrap();
    fs::write(&secret, "root's own\n").unwrap();
    for (path, mode) in [(&path, 0o755), (&program, 0o4755), (&secret, 0o600)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let outside = |program: &Path| User::Plain.command(program).arg(&secret).output().unwrap().stdout;
    assert_eq!(outside(&program), b"root's own\n", "outside it works");
    assert_eq!(outside(Path::new("/bin/cat")), b"", "for nobody else");
    let [program, secret] = [program, secret].map(|path| path.display().to_string());
    let directory = format!("filesystem=read:{}", path.display());
    let bench = Bench::new(User::Plain, &[&format!("exec={program}"), &directory]);
    let error = format!("{program}: {secret}: Permission denied\n");
    is(&bench.exec(&[&program, &secret]), "", &error, 1);
}

#[test]
fn a_script_needs_what_runs_it() {
    everybody(|user| {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().canonicalize().unwrap().join("script");
        fs::write(&script, "#!/bin/sh\necho \"script $1\"\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.display().to_string();
        let grant = format!("exec={script}");
        let line = "is a script: it needs the permission exec=/bin/sh for what runs it, which was not granted";
        let alone = Bench::new(user, &[&grant]);
        alone.exec(&[&script, "x"]).ends(6).says(&["permission_denied", line, "--grant exec=/bin/sh"]);
        let both = Bench::new(user, &[&grant, "exec=sh"]);
        is(&both.exec(&[&script, "x"]), "script x\n", "", 0);
        if user == User::Root {
            // Its rights are not those of root; what it cannot reach does not keep the others from running.
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
            both.exec(&[&script, "x"]).ends(5).says(&["cannot be started: No such file", "everybody must be able"]);
            is(&both.shell("echo x"), "x\n", "", 0);
        }
    });
}

#[test]
fn what_the_plugin_can_change_is_no_program() {
    let bench = Bench::new(User::Root, &[]);
    let folder = bench.directory("tools");
    let program = folder.join("program");
    fs::copy("/bin/true", &program).unwrap();
    let (exec, write) = (format!("exec={}", program.display()), format!("filesystem=write:{}", folder.display()));
    let tools = Bench::new(User::Root, &[&exec, &write]);
    let done = tools.exec(&[&program.display().to_string()]);
    done.ends(5).says(&["lies in a directory that the plugin can change"]);
    drop(bench);
}

#[test]
fn arguments_are_passed_as_they_are() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=printf", "exec=env"]);
        let odd =
            ["", " ", "-", "--", "a\nb", "\t\u{1b}[31m\u{7}", "ü ß 世界 \u{202e}", "'\"`$(id)\\", "*?[x]~", "\u{fffd}"];
        let printed: String = odd.map(|word| format!("<{word}>")).concat();
        is(&bench.exec(&[&["printf", "<%s>"], &odd[..]].concat()), &printed, "", 0);
        let long = "x".repeat(100_000);
        let done = bench.exec(&["printf", "%s", &long]);
        assert_eq!(done.ends(0).out.len(), long.len() + "exit 0\n".len());
        // A program with a name like a variable or an option is none.
        for name in ["A=1", "env\n"] {
            bench.exec(&[name]).says(&["error["]).never_says(&["PATH="]);
        }
    });
}

// The name leads to the system's program, whatever lies in a directory of the plugin's.
#[test]
fn a_name_means_the_systems_program() {
    everybody(|user| {
        let bench = Bench::new(user, &[]);
        let folder = bench.directory("tools");
        let own = folder.join("printf");
        fs::write(&own, "#!/bin/sh\necho planted\n").unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
        bench.give(&folder);
        let write = format!("filesystem=write:{}", folder.display());
        let tools = Bench::new(user, &["exec=printf", "exec=sh", &write]);
        let ask = json!({"program": "printf", "args": ["system"], "cwd": folder});
        let done = tools.typed(&["plugin", "run", "reach", "ask", "exec", &ask.to_string()]);
        done.ends(0).says(&[r#""stdout":"system""#]).never_says(&["planted"]);
        let (path, own) = (folder.display().to_string(), own.display().to_string());
        // Neither a PATH of the program's own nor the loader's variables make it one.
        for script in [
            format!("PATH={path}; unset -f printf; command -p printf x; exec {own}"),
            format!("PATH={path}:$PATH; exec env printf x"),
            format!("LD_PRELOAD={own} exec /usr/bin/printf system"),
            format!("LD_LIBRARY_PATH={path} exec /usr/bin/printf system"),
        ] {
            tools.shell(&script).ends(0).never_says(&["planted"]);
        }
        tools.exec(&[&own]).ends(6).says(&["permission_denied"]);
    });
}

#[test]
fn a_link_is_the_program_behind_it() {
    everybody(|user| {
        // Two ways that lead over links: beside the program, and through /etc/alternatives where a machine has that.
        let is_link = |path: &&str| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        for program in
            ["/usr/bin/python3", "/usr/bin/awk"].into_iter().filter(|path| is_link(path) && Path::new(path).exists())
        {
            let name = program.rsplit('/').next().unwrap();
            let bench = Bench::new(user, &[&format!("exec={name}")]);
            let words: &[&str] = if name == "awk" { &["BEGIN { print 6 * 7 }"] } else { &["-c", "print(6 * 7)"] };
            is(&bench.exec(&[&[name], words].concat()), "42\n", "", 0);
            is(&bench.exec(&[&[program], words].concat()), "42\n", "", 0);
            // The file behind it has a name of its own, and that is another grant.
            let real = fs::canonicalize(program).unwrap().display().to_string();
            bench.exec(&[&[real.as_str()], words].concat()).ends(6).says(&[&format!("exec={real}")]);
        }
    });
}

#[test]
fn env_starts_nothing_that_is_not_granted() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=env"]);
        for words in [&["env", "printf", "x"][..], &["env", "-S", "printf x"], &["env", "PATH=/bin", "ls", "/usr"]] {
            let done = bench.exec(words);
            assert!(done.ends(0).out.ends_with("exit 126\n"), "{done:?}");
        }
        let both = Bench::new(user, &["exec=env", "exec=printf"]);
        is(&both.exec(&["env", "printf", "x"]), "x", "", 0);
        // A script that names it gets no further either.
        let folder = bench.directory("scripts");
        let script = folder.join("script");
        fs::write(&script, "#!/usr/bin/env python3\nprint('ran')\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        bench.give(&folder);
        let script = script.display().to_string();
        let directory = format!("filesystem=read:{}", folder.display());
        let exec = format!("exec={script}");
        let one = Bench::new(user, &[&exec, "exec=env", &directory]);
        one.exec(&[&script]).ends(0).says(&["exit 126\n"]).never_says(&["ran"]);
    });
}

#[test]
fn a_daemon_ends_with_the_call() {
    everybody(|user| {
        let bench = Bench::new(user, &["exec=sh", "exec=setsid", "exec=sleep"]);
        // Every run is looked over for processes that it left behind.
        for script in ["setsid sh -c 'trap \"\" TERM HUP INT; sleep 300' & exit 3", "(sleep 300 &) & exit 3"] {
            is(&bench.shell(script), "", "", 3);
        }
    });
}

#[test]
fn a_signal_ends_a_program() {
    let bench = Bench::new(User::Root, &["exec=sh", "exec=sleep"]);
    let mut product = bench.home.product(["plugin", "run", "reach", "exec", "sh", "--", "-c", "sleep 311; exit"]);
    let mut child = product.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let sleeps = || {
        let list = Command::new("ps").args(["-eo", "args"]).output().unwrap().stdout;
        String::from_utf8_lossy(&list).lines().any(|line| line == "sleep 311")
    };
    while !sleeps() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGINT).unwrap();
    // As whoever started it expects: it ends by that signal itself.
    assert_eq!(child.wait().unwrap().signal(), Some(nix::sys::signal::Signal::SIGINT as i32));
    while sleeps() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
