//! What scripts try: the kernel refuses it, whatever the language says. Cases of scripts, named by their numbers.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::run::User;
use migraine_tests::scripts::Script;
use serde_json::json;

fn everybody(test: impl Fn(User)) {
    kernel::users().iter().copied().for_each(test);
}

fn go(home: &Home, args: &[&str]) -> Done {
    home.run([&["plugin", "run", "script", "go"], args].concat())
}

/// Each way is tried; what worked says so. Outside of the sandbox all of it does.
const WAYS: &str = r#"
import sys
def ways(port, secret, target):
    import os, socket, subprocess, importlib, ctypes, builtins
    def by_subclasses(name):
        for kind in object.__subclasses__():
            if kind.__name__ == 'catch_warnings':
                return kind()._module.__builtins__['__import__'](name)
    libc = ctypes.CDLL(None, use_errno=True)
    def checked(value):
        if value != 0: raise OSError(ctypes.get_errno(), 'libc')
    yield 'read', lambda: open(secret).read()
    yield 'read-io', lambda: importlib.import_module('io').FileIO(secret).read()
    yield 'write', lambda: open(target, 'w').write('x')
    yield 'write-sub', lambda: by_subclasses('os').close(by_subclasses('os').open(target, 66))
    yield 'system', lambda: checked(os.system('true') >> 8)
    yield 'system-sub', lambda: checked(by_subclasses('os').system('true') >> 8)
    yield 'system-libc', lambda: checked(libc.system(b'true'))
    yield 'subprocess', lambda: subprocess.run(['/bin/true'], check=True)
    yield 'spawn', lambda: os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)
    yield 'fork', lambda: (os._exit(0) if (pid := os.fork()) == 0 else os.waitpid(pid, 0))
    yield 'connect', lambda: socket.create_connection(('127.0.0.1', port), 2).close()
    yield 'connect-libc', lambda: checked(0 if libc.socket(2, 1, 0) >= 0 else 1)
    yield 'bind', lambda: socket.socket().bind(('127.0.0.1', 0))
    yield 'udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))

def attempt(port, secret, target):
    try: sys.addaudithook(lambda *args: None)
    except Exception: pass
    for name, way in ways(port, secret, target):
        try: way()
        except BaseException as error: print('refused', name, type(error).__name__, getattr(error, 'errno', ''))
        else: print('worked', name)

def f(args, context):
    attempt(int(args[0]), args[1], args[2])
"#;

#[test]
fn a173_python_is_held_by_the_kernel() {
    everybody(|user| {
        let mut home = Script::python_command(WAYS).installed(Home::of(user));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let secret = home.write("secret", "s").display().to_string();
        let target = home.work().join("target").display().to_string();
        home.leave_out("Imports");
        let done = go(&home, &[&port, &secret, &target]);
        let ways = done.ends(0).out.lines().filter(|line| line.starts_with("refused ")).count();
        assert!(ways == 14 && !done.out.contains("worked"), "{done:?}");
        assert!(!home.work().join("target").exists());
        // Outside, every way works.
        let script = format!("{WAYS}\nattempt(int(sys.argv[1]), sys.argv[2], sys.argv[3])");
        let outside = Command::new("/usr/bin/python3").args(["-c", &script, &port, &secret, &target]).output().unwrap();
        let outside = String::from_utf8(outside.stdout).unwrap();
        assert!(outside.lines().count() == 14 && !outside.contains("refused"), "{outside}");
    });
}

/// As the program is run with variables and files that steer interpreters elsewhere.
fn steered(home: &Home, args: &[&str], variables: &[(&str, &str)]) -> Done {
    let mut command = home.command([&["plugin", "run", "script", "go"], args].concat());
    command.envs(variables.iter().copied());
    Done::of(&mut command)
}

#[test]
fn a174_nothing_steers_python() {
    everybody(|user| {
        let text = "import sys, os\ndef f(args, context):\n    print('evil' in sys.modules, os.environ.get('PYTHONPATH'), sys.flags.isolated, sys.flags.no_site)\n    import json; print('/evil' in str(json.__file__))\n";
        let home = Script::python_command(text).installed(Home::of(user));
        for name in ["evil/json/__init__.py", "evil/usercustomize.py", "evil/sitecustomize.py", "evil/start.py"] {
            home.write(name, "raise SystemExit('evil ran')\n");
        }
        let site = home.path().parent().unwrap().join("user/.local/lib/python3.11/site-packages");
        fs::create_dir_all(&site).unwrap();
        fs::write(site.join("evil.pth"), "import sys; sys.modules['evil'] = sys\n").unwrap();
        let evil = home.work().join("evil").display().to_string();
        let start = format!("{evil}/start.py");
        let done = steered(
            &home,
            &[],
            &[
                ("PYTHONPATH", &evil),
                ("PYTHONHOME", &evil),
                ("PYTHONSTARTUP", &start),
                ("PYTHONINSPECT", "1"),
                ("PYTHONUSERBASE", &evil),
            ],
        );
        assert_eq!(done.ends(0).out, "False None 1 1\nFalse\n", "{done:?}");
    });
}

#[test]
fn a176_compiled_code_is_not_used() {
    // A package cannot hold any; and what the scratch holds is no place that modules come from.
    let text = "import os, sys\ndef f(args, context):\n    \
        os.makedirs('__pycache__'); open('other.py', 'w').write('x = 1\\n')\n    \
        print([place for place in sys.path if not place.startswith(('/usr', '/dev/code'))], sys.dont_write_bytecode)\n    \
        try: open('/dev/code/plugin/__pycache__', 'w')\n    except OSError as error: print(error.errno)\n    \
        import module; print(module.x, module.__cached__ if hasattr(module, '__cached__') else None, os.listdir('/dev/code/plugin'))\n";
    everybody(|user| {
        let home = Script::python_command(text).file("module.py", "x = 'source'\n").installed(Home::of(user));
        let done = go(&home, &[]);
        assert!(done.ends(0).out.starts_with("[] True\n30\nsource "), "{done:?}");
        assert!(!done.out.contains("'__pycache__'"), "{done:?}");
    });
}

#[test]
fn a177_nothing_steers_bash() {
    everybody(|user| {
        let text = "x='a b'; set -- $x; echo \"$# $- ${CDPATH-unset} $(type -t evil) $(type -t echo)\"; cd /tmp && pwd";
        let home = Script::bash_command(text).installed(Home::of(user));
        let evil = home.write("evil.sh", "echo evil ran; exit 0\n").display().to_string();
        let done = steered(
            &home,
            &[],
            &[
                ("BASH_ENV", &evil),
                ("ENV", &evil),
                ("BASH_FUNC_evil%%", "() { echo evil; }"),
                ("BASH_FUNC_echo%%", "() { printf evil; }"),
                ("SHELLOPTS", "xtrace:verbose"),
                ("PS4", "$(echo evil >&2)"),
                ("IFS", "a"),
                ("CDPATH", "/evil"),
            ],
        );
        assert!(done.ends(0).out.starts_with("2 ") && done.out.ends_with(" unset  builtin\n/tmp\n"), "{done:?}");
        done.never_says(&["evil"]);
    });
}

#[test]
fn a179_what_was_verified_runs() {
    everybody(|user| {
        // The first line names another program: nobody looks at it.
        let script = Script::new("script")
            .file("go.sh", "#!/usr/bin/python3\necho bash $0\n")
            .file("main.py", "#!/bin/sh\nimport sys\ndef f(args, context):\n    print('python', __file__)\n")
            .command(&json!({"name": "go", "handler": {"type": "bash", "file": "go.sh"}}))
            .command(&json!({"name": "py", "handler": {"type": "python", "module": "main", "function": "f"}}));
        let home = script.installed(Home::of(user));
        assert!(go(&home, &[]).ends(0).out.starts_with("bash "));
        assert_eq!(home.run(["plugin", "run", "script", "py"]).ends(0).out, "python /dev/code/plugin/main.py\n");
        // A file of the store that was changed is refused.
        let changed = changed_file(&home, "main.py");
        fs::write(&changed, "def f(args, context):\n    print('chan' + 'ged code')\n").unwrap();
        home.run(["plugin", "run", "script", "py"]).ends(6).says(&["error[integrity]"]).never_says(&["changed code"]);
    });
}

/// A file of the installed plugin, made writable.
fn changed_file(home: &Home, name: &str) -> PathBuf {
    let all = home.snapshot();
    let found = all.keys().find(|path| path.ends_with(format!("files/{name}"))).cloned();
    let path = found.unwrap_or_else(|| panic!("{name} is not installed"));
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    path
}

const LINES: &str = r#"
open(my $in, "<&=", 3); open(my $out, ">&=", 4); $out->autoflush(1);
while (my $line = <$in>) {
  my ($n) = $line =~ /"call":(\d+)/; my ($way) = $line =~ /"args":\["([a-z]+)"/;
  my %said = (junk => "x{}", two => "{\"call\":$n,\"answer\":{}} {}", nan => "{\"call\":$n,\"answer\":{\"a\":NaN}}",
    bom => "\xef\xbb\xbf{\"call\":$n}", other => "{\"call\":99}", more => "{\"call\":$n,\"x\":1}", empty => "",
    both => "{\"call\":$n,\"answer\":1,\"error\":\"x\"}", list => "{\"call\":$n,\"answer\":[]}", binary => "\xff\xfe",
    long => "x" x 2000000);
  print $out $said{$way}, "\n";
}
"#;

#[test]
fn a180_an_answer_is_one_document() {
    everybody(|user| {
        let handler = json!({"type": "executable", "program": "l.pl", "interpreter": "perl", "protocol": "json"});
        let script = Script::new("script").file("l.pl", LINES).command(&json!({"name": "go", "handler": handler}));
        for way in ["junk", "two", "nan", "bom", "other", "more", "empty", "both", "list", "binary", "long"] {
            let home = script.installed(Home::of(user));
            go(&home, &[way]).ends(5).says(&["error[protocol_error]"]);
        }
        for text in ["{} {}", "{}x", "{\"a\":NaN}", "{\"a\":1,}", "\u{feff}{}", "{\"success\":1}"] {
            let home = Script::bash("post-command", &format!("printf %s '{text}'")).installed(Home::of(user));
            home.write("w.yaml", "name: w\nsteps: [{name: s, command: echo}]");
            home.run(["run", "./w.yaml"]).ends(0).says(&["(protocol_error)"]);
        }
        // What is printed is no answer.
        let text = "import os\ndef f(config, context):\n    print('{}')\n    os.write(1, b'{\"success\":false}\\n')\n    return {'output': 'right'}\n";
        let home = Script::python("post-command", text).installed(Home::of(user));
        home.write("w.yaml", "name: w\nsteps: [{name: s, command: echo}]");
        home.run(["run", "./w.yaml"]).ends(0).says(&["[script] right"]);
    });
}

#[test]
fn a182_a_script_starts_no_program() {
    everybody(|user| {
        let text = "import os, subprocess\ndef attempt(way):\n    \
                try: way()\n    except OSError as error: print(error.errno)\n    else: print('worked')\n\
            def f(args, context):\n    \
                attempt(lambda: subprocess.run(['/bin/true'])); attempt(os.fork)\n    \
                attempt(lambda: os.execv('/usr/bin/python3.11', ['x'])); attempt(lambda: os.execv('/bin/true', ['x']))\n    \
                attempt(lambda: os.posix_spawn('/bin/true', ['true'], {})); print(os.system('/bin/true') != 0)\n";
        let home = Script::python_command(text).installed(Home::of(user));
        let done = go(&home, &[]);
        let lines: Vec<&str> = done.ends(0).out.lines().collect();
        assert!(lines[..5].iter().all(|line| ["1", "13"].contains(line)) && lines[5] == "True", "{done:?}");
        // A shell has processes, and no program; its own file neither.
        let text = "for p in /bin/true /usr/bin/bash /usr/bin/bash5 ls \"$BASH\" /lib64/ld-linux-x86-64.so.2; do\n\
            (exec \"$p\" --version) >/dev/null 2>&1 && echo worked \"$p\"; \"$p\" --version >/dev/null 2>&1 && echo worked \"$p\"\n\
            done; echo x >own; (exec ./own) 2>/dev/null && echo worked own; echo over";
        let home = Script::bash_command(text).installed(Home::of(user));
        assert_eq!(go(&home, &[]).ends(0).out, "over\n");
        let home = Script::bash_command("while :; do /bin/true 2>/dev/null; done").installed(Home::of(user));
        home.run(["plugin", "run", "--timeout", "5", "script", "go"]).says(&["error["]);
    });
}

#[test]
fn a183_python_has_what_it_needs() {
    everybody(|user| {
        let text = "import _thread, time\ndone = []\ndef f(args, context):\n    \
            if args: return len(bytearray(int(args[0]) << 20))*0\n    \
            for at in range(7): _thread.start_new_thread(lambda n: (sum(range(10000)), done.append(n)), (at,))\n    \
            while len(done) < 7: time.sleep(0.01)\n    print(sorted(done))\n    \
            keep = [bytearray(1 << 20) for _ in range(150)]; print(len(keep))\n";
        let mut home = Script::python_command(text).installed(Home::of(user));
        home.leave_out("Imports");
        assert_eq!(go(&home, &[]).ends(0).out, "[0, 1, 2, 3, 4, 5, 6]\n150\n");
        let done = go(&home, &["1000"]);
        done.ends(5).says(&["error[limit_memory]", "reached its memory limit of 256 MiB"]);
    });
}

#[test]
fn a184_values_are_never_text_that_runs() {
    everybody(|user| {
        let text = "printf '<%s>' \"$MIGRAINE_VALUE\" \"$MIGRAINE_VAR_X\" \"$MIGRAINE_CMD_OUTPUT\"";
        for value in
            ["\"; touch pwned; #", "$(touch pwned)", "`touch pwned`", "a\nb", "*", "~", "';touch pwned;'", "-n", "\\"]
        {
            let script = Script::bash("post-command", text).asking(&["task_read"]).config("value", &json!(""));
            let home = script.installed(Home::of(user));
            home.ok(&["plugin", "config", "script", "set", "value", "--", value]);
            home.write("w.yaml", "name: w\nsteps: [{name: s, command: echo out}]\nconfig: {variables: {x: y}}");
            let done = home.run(["--format", "json", "run", "./w.yaml", "-v", &format!("x={value}")]);
            let report: serde_json::Value = serde_json::from_str(&done.ends(0).out).unwrap();
            assert_eq!(report["hooks"][0]["message"], format!("<{value}><{value}><out\n>"), "{done:?}");
            assert!(!home.work().join("pwned").exists());
        }
    });
}

#[test]
fn a185_a_value_stays_an_argument() {
    everybody(|user| {
        let home = Script::bash_command("printf '<%s>' \"$@\"; echo").installed(Home::of(user));
        assert_eq!(go(&home, &["--", "--command=sh", "-c", "*"]).ends(0).out, "<--><--command=sh><-c><*>\n");
        let perl = json!({"type": "executable", "program": "t.pl", "interpreter": "perl"});
        let script = Script::new("script")
            .file("t.pl", "print join('|', @ARGV), \"\\n\"")
            .command(&json!({"name": "go", "handler": perl}));
        let home = script.installed(Home::of(user));
        assert_eq!(go(&home, &["-e", "exit 3", "--help"]).ends(0).out, "go|-e|exit 3|--help\n");
    });
}

#[test]
fn a188_a_bound_command_has_words_and_no_shell() {
    everybody(|user| {
        let script = Script::bash_command("printf '<%s>' \"$@\"; echo")
            .hook(&json!({"event": "workflow:post-deploy", "command": "go --container {{name}} ';touch pwned'"}));
        let home = script.installed(Home::of(user));
        home.write("w.yaml", "name: w\nactions: {deploy: {command: echo deployed}}");
        let done = home.run(["run", "./w.yaml", "-a", "deploy", "-v", "name=$(touch pwned); touch pwned"]);
        done.ends(0).says(&["<--container><$(touch pwned); touch pwned><;touch pwned>"]);
        assert!(!home.work().join("pwned").exists());
    });
}

#[test]
fn a189_a_path_stays_in_what_was_granted() {
    everybody(|user| {
        let home = Home::of(user);
        home.write("data/file", "content\n");
        home.write("secret", "s3cr3t\n");
        let granted = home.work().canonicalize().unwrap().join("data").display().to_string();
        let text = "def f(config, context):\n    return {'output': open(config['path']).read()}\n";
        let script = Script::python("post-command", text)
            .asking(&[&format!("filesystem=write:{granted}")])
            .config("path", &json!(""));
        script.install(&home);
        home.write("w.yaml", "name: w\nsteps: [{name: s, command: echo}]");
        let read = |path: &str| {
            home.ok(&["plugin", "config", "script", "set", "path", path]);
            home.run(["run", "./w.yaml"])
        };
        read(&format!("{granted}/file")).ends(0).says(&["content"]);
        std::os::unix::fs::symlink(home.work().join("secret"), home.work().join("data/link")).unwrap();
        for path in [format!("{granted}/../secret"), format!("{granted}/link"), "../secret".to_owned()] {
            read(&path).ends(0).says(&["No such file"]).never_says(&["s3cr3t"]);
        }
    });
}

/// The list of the first design, and what is not on it.
#[test]
fn every_module_of_the_list_can_be_imported() {
    everybody(|user| {
        let listed = "json os sys time datetime re urllib.parse collections itertools math random string pathlib shutil hashlib \
            base64 uuid enum dataclasses functools operator statistics decimal fractions array heapq bisect copy pprint csv \
            zipfile gzip fileinput io codecs ast inspect site tokenize token traceback warnings weakref gc atexit logging \
            subprocess";
        let refused = "socket ctypes urllib.request urllib http http.client multiprocessing threading importlib pickle ssl \
            resource signal pty asyncio";
        let text = "def attempt(line):\n    try: exec(line, {'__file__': __file__, '__builtins__': __builtins__})\n    \
                except ImportError as error: return str(error)\n    return 'fine'\n\
            def f(args, context):\n    for line in args: print(attempt(line))\n";
        let home =
            Script::python_command(text).file("own.py", "from urllib.parse import quote\n").installed(Home::of(user));
        let attempt = |lines: Vec<String>| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            go(&home, &lines).ends(0).out.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let import = |names: &str| names.split_whitespace().map(|name| format!("import {name}")).collect::<Vec<_>>();
        for (line, outcome) in import(listed).iter().zip(attempt(import(listed))) {
            assert_eq!(outcome, "fine", "{line}");
        }
        for (name, outcome) in refused.split_whitespace().zip(attempt(import(refused))) {
            assert_eq!(
                outcome,
                format!("a plugin may not import `{name}`: it is not on the list of modules for plugins")
            );
        }
        let lines =
            ["from urllib import parse", "import own", "from urllib import request", "from collections import abc"];
        let outcomes = attempt(lines.map(str::to_owned).to_vec());
        assert!(outcomes[0] == "fine" && outcomes[1] == "fine" && outcomes[3] == "fine", "{outcomes:?}");
        assert!(outcomes[2].contains("`urllib.request`"), "{outcomes:?}");
    });
}
