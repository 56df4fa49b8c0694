//! Limits of scripts hold for all processes of a worker: subshells, what they leave behind, and what a script starts itself.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::run::{Background, User};
use migraine_tests::scripts::Script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

fn everybody(test: impl Fn(User)) {
    kernel::users().iter().copied().for_each(test);
}

/// Under a policy of these limits.
fn limited(script: &Script, user: User, limits: &str) -> Home {
    let home = script.installed(Home::of(user));
    home.policy(&format!("limits: {{{limits}}}\n"));
    home
}

fn go(home: &Home) -> Done {
    home.run(["--verbose", "plugin", "run", "script", "go"])
}

/// Wall clock, CPU time, peak of memory, and bytes in and out, as each call was told of.
fn each_told(done: &Done) -> Vec<[f64; 5]> {
    let lines = done.err.lines().filter(|line| line.starts_with("used: ") && line.contains("CPU time, "));
    let numbers = |line: &str| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        [(); 5].map(|()| numbers.next().expect("five numbers"))
    };
    lines.map(numbers).collect()
}

/// The same of the first call.
fn told(done: &Done) -> [f64; 3] {
    let [wall, cpu, peak, ..] = each_told(done)[0];
    [wall, cpu, peak]
}

/// A Python that makes so many processes, of which each does this, and waits for them.
fn python(count: u32, each: &str) -> Script {
    let text = format!(
        "import os, time\ndef each():\n    {each}\ndef f(args, context):\n    \
         for _ in range({count}):\n        \
             if not os.fork():\n            try: each()\n            finally: os._exit(0)\n    \
         for _ in range({count}): os.wait()\n"
    );
    Script::python_command(&text).asking(&["exec=true"])
}

// covers: A60, for scripts
#[test]
fn cpu_time_of_all_processes_is_limited() {
    everybody(|user| {
        let spin = "while ((SECONDS < 12)); do :; done";
        let scripts = [
            Script::bash_command(spin),
            Script::bash_command(&format!("{spin} & wait")),
            Script::bash_command(&format!("for i in 1 2 3; do ({spin}) & done; wait")),
            python(2, "while True: pass"),
            // Many short ones, none of which reaches the limit.
            Script::bash_command("while ((SECONDS < 12)); do (for ((i = 0; i < 4000; i++)); do :; done); done"),
        ];
        for script in scripts {
            let home = limited(&script, user, "cpu: 1");
            let done = go(&home);
            done.ends(124).says(&["limit_cpu", "it used more CPU time than its limit of 1 s"]);
            assert!(told(&done)[1] >= 1.0 && done.took.as_secs() < 8, "{done:?}");
        }
    });
}

// A60: of those that nobody waits for, the kernel keeps no count.
#[test]
fn cpu_time_of_children_that_are_not_waited_for_is_limited() {
    everybody(|user| {
        let text = "import os, subprocess, time\n\
            def f(args, context):\n    \
                subprocess.signal.signal(subprocess.signal.SIGCHLD, subprocess.signal.SIG_IGN)\n    \
                while time.monotonic() < 1e9:\n        \
                    try: child = os.fork()\n        \
                    except BlockingIOError: child = -1\n        \
                    if not child:\n            \
                        while time.process_time() < 0.2: pass\n            \
                        os._exit(0)\n        \
                    time.sleep(0.2)\n";
        let home = limited(&Script::python_command(text).asking(&["exec=true"]), user, "cpu: 1");
        go(&home).ends(124).says(&["limit_cpu"]);
    });
}

// A60: a hook that leaves something running may not burn the machine while others work.
#[test]
fn what_a_hook_leaves_running_is_limited() {
    everybody(|user| {
        let script = Script::bash("pre-command", "( while :; do :; done ) >/dev/null 2>&1 & printf '{}'");
        let home = limited(&script, user, "cpu: 1");
        let steps = (0..8).map(|step| format!("{{name: s{step}, command: 'sleep 0.5'}}"));
        home.write("w.yaml", &format!("name: w\nsteps: [{}]", steps.collect::<Vec<_>>().join(", ")));
        home.run(["run", "./w.yaml"]).says(&["limit_cpu", "it used more CPU time than its limit of 1 s"]);
    });
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// Waits until it holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// The launcher looks while the host is stopped: it sees a shell's processes as well.
#[test]
fn cpu_time_of_all_processes_is_limited_while_the_host_is_stopped() {
    everybody(|user| {
        let text = "( while ((SECONDS < 60)); do :; done )";
        let home = limited(&Script::bash_command(text), user, "cpu: 1");
        let product = home.product(["plugin", "run", "script", "go"]);
        let mut command = user.command(Path::new(product.get_program()));
        command.args(product.get_args()).env_clear();
        command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut host = Background(command.current_dir(home.work()).stderr(Stdio::piped()).spawn().unwrap());
        let workers = || children(host.0.id()).into_iter().flat_map(children).collect::<Vec<_>>();
        // A handler runs in a subshell of the worker's shell.
        let spins = || workers().into_iter().flat_map(children).next().is_some();
        until("the call begins", spins);
        let host_pid = Pid::from_raw(host.0.id().cast_signed());
        kill(host_pid, Signal::SIGSTOP).unwrap();
        until("the launcher ends the worker", || workers().is_empty());
        kill(host_pid, Signal::SIGCONT).unwrap();
        let mut said = String::new();
        host.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("limit_cpu"), "{said}");
        host.0.wait().unwrap();
    });
}

// A57: each process is below its limit; together they are not. As root, a control group holds them.
#[test]
fn memory_of_all_processes_is_limited() {
    everybody(|user| {
        let grow = "x=xxxxxxxx; while ((${#x} < 20000000)); do x=$x$x; done; while ((SECONDS < 20)); do :; done";
        let scripts = [
            Script::bash_command(&format!("for i in 1 2 3 4; do ({grow}) & done; wait")),
            python(5, "data = bytearray(b'x') * (50 << 20); time.sleep(20)"),
        ];
        for script in scripts {
            let home = limited(&script, user, "memory: 64 MiB");
            let done = go(&home);
            done.ends(5).says(&["limit_memory", "it reached its memory limit of 64 MiB"]);
            assert!(told(&done)[2] >= f64::from(48 << 10) && done.took.as_secs() < 15, "{done:?}");
        }
    });
}

// What processes share since they were made is there once.
#[test]
fn memory_that_processes_share_counts_once() {
    everybody(|user| {
        let text = "import os, subprocess, time\n\
            data = bytearray(b'x') * (40 << 20)\n\
            def f(args, context):\n    \
                for _ in range(4):\n        \
                    if not os.fork():\n            time.sleep(0.5); os._exit(0)\n    \
                for _ in range(4): os.wait()\n    \
                for _ in range(100): subprocess.run(['true'], check=True)\n    \
                print('done')\n";
        let home = limited(&Script::python_command(text).asking(&["exec=true"]), user, "memory: 64 MiB");
        assert_eq!(go(&home).ends(0).out, "done\n");
    });
}

#[test]
fn usage_is_of_all_processes() {
    everybody(|user| {
        let grow = "x=xxxxxxxx; while ((${#x} < 20000000)); do x=$x$x; done";
        let spin = "for ((i = 0; i < 200000; i++)); do :; done";
        let home = Script::bash_command(&format!("({grow}; {spin}; {spin})")).installed(Home::of(user));
        let done = go(&home);
        let [wall, cpu, peak] = told(done.ends(0));
        assert!(cpu >= 0.1 && cpu <= wall + 0.1 && peak >= 20_000.0, "{done:?}");
    });
}

/// Perl that computes for 0.2 s of CPU time.
const PERL_SPINS: &str = "my $began = times; 1 while times() - $began < 0.2;";

// A hook has no time to look at every process: it is told of what it waited for, and of itself.
#[test]
fn a_hook_is_told_what_its_children_used() {
    everybody(|user| {
        let spins = "end = time.process_time() + 0.2\n    while time.process_time() < end: pass";
        let python = |body: &str| {
            let text = format!(
                "import os, time\ndef spin():\n    {spins}\ndef f(config, context):\n    {body}\n    return {{}}\n"
            );
            Script::python("pre-command", &text).asking(&["exec=true"])
        };
        let scripts = [
            python("spin()"),
            python("if not os.fork(): spin(); os._exit(0)\n    os.wait()"),
            Script::bash("pre-command", "( for ((i = 0; i < 400000; i++)); do :; done ); printf '{}'"),
            Script::bash("pre-command", "( ( for ((i = 0; i < 400000; i++)); do :; done ) & wait ); printf '{}'"),
        ];
        for script in scripts {
            let home = script.installed(Home::of(user));
            home.write("w.yaml", "name: w\nsteps: [{name: a, command: 'true'}, {name: b, command: 'true'}]\n");
            let done = home.run(["--verbose", "run", "./w.yaml"]);
            let told = each_told(done.ends(0));
            assert_eq!(told.len(), 2, "{done:?}");
            for [wall, cpu, peak, bytes_in, bytes_out] in told {
                assert!(cpu >= 0.18 && cpu <= wall + 0.1 && peak > 1000.0, "{done:?}");
                assert!(bytes_in > 100.0 && bytes_out >= 2.0, "{done:?}");
            }
        }
    });
}

const PRINTS: &str = "SPIN print 'x' x 5000;";
const ANSWERS: &str = r#"
open(my $in, "<&=", 3); open(my $out, ">&=", 4);
while (my $line = <$in>) {
  SPIN
  my ($call) = $line =~ /"call":(\d+)/;
  syswrite($out, qq({"call":$call,"answer":{"output":") . 'x' x 5000 . qq("}}\n));
}
"#;

#[test]
fn a_command_that_is_a_program_is_told_what_it_used_and_printed() {
    everybody(|user| {
        for (protocol, text) in [("argv", PRINTS), ("json", ANSWERS)] {
            let handler =
                json!({"type": "executable", "program": "spin.pl", "interpreter": "perl", "protocol": protocol});
            let script = Script::new("script")
                .file("spin.pl", text.replace("SPIN", PERL_SPINS))
                .command(&json!({"name": "go", "handler": handler}));
            let done = go(&script.installed(Home::of(user)));
            let [wall, cpu, peak, _, bytes_out] = each_told(done.ends(0))[0];
            assert_eq!(done.out.trim_end().len(), 5000, "{done:?}");
            assert!(cpu >= 0.18 && cpu <= wall + 0.1 && peak > 1000.0 && bytes_out >= 5000.0, "{protocol}: {done:?}");
        }
    });
}

#[test]
fn a_call_is_told_what_the_programs_used_that_the_host_ran_for_it() {
    everybody(|user| {
        let text =
            format!("import migraine\ndef f(args, context):\n    migraine.execute('perl', ['-e', '{PERL_SPINS}'])\n");
        let home = Script::python_command(&text).asking(&["exec=perl"]).installed(Home::of(user));
        let done = go(&home);
        let [_, cpu, ..] = told(done.ends(0));
        assert!(cpu >= 0.18, "{done:?}");
    });
}
