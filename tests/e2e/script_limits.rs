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

/// Wall clock, CPU time and peak of memory, as the call was told of.
fn told(done: &Done) -> [f64; 3] {
    let line = done.err.lines().find(|line| line.contains("CPU time, ")).expect("a line about the call");
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    [(); 3].map(|()| numbers.next().expect("three numbers"))
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
