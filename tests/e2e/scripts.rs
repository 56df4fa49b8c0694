//! Scripts answer hooks and commands as libraries do.

use std::fs;
use std::path::Path;

use migraine_host::runtime::Python;
use migraine_plugin_api::Context;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::package::remade;
use migraine_tests::run::User;
use migraine_tests::scripts::{Script, bash, function};
use serde_json::{Value, json};

/// Runs a test as everybody who can run the product here.
fn everybody(test: impl Fn(User)) {
    kernel::users().iter().copied().for_each(test);
}

const WORKFLOW: &str = "name: w\nsteps: [{name: s, command: 'echo out; echo more'}]";

fn run(home: &Home, text: &str) -> Done {
    home.write("w.yaml", text);
    home.run(["run", "./w.yaml"])
}

fn go(home: &Home, args: &[&str]) -> Done {
    home.run([&["plugin", "run", "script", "go"], args].concat())
}

/// The only hook of a run.
fn answer(home: &Home) -> Value {
    home.write("w.yaml", WORKFLOW);
    let report = home.json(&["run", "./w.yaml"]);
    let hooks = report["hooks"].as_array().unwrap();
    assert_eq!(hooks.len(), 1, "{report}");
    hooks[0].clone()
}

// covers: S14, S15, S16, S19, S22, S23, S63
#[test]
fn a_python_hook_is_called() {
    everybody(|user| {
        let text = "count = 0\n\
            def f(config, context):\n    \
                global count\n    count += 1\n    print('printed')\n    \
                return {'status': 'success', 'output': f\"{context['output']!r} {config} {count}\"}\n";
        let home = Script::python("post-command", text).config("key", &json!(7)).installed(Home::of(user));
        let hook = answer(&home);
        assert_eq!(hook["message"], "'out\\nmore\\n' {'key': 7} 1", "{hook}");
        run(&home, WORKFLOW).ends(0).says(&["[script] printed"]);
        // One interpreter for all calls.
        home.write("w.yaml", "name: w\nsteps: [{name: a, command: echo}, {name: b, command: echo}]");
        let report = home.json(&["run", "./w.yaml"]);
        assert_eq!(report["hooks"][1]["message"], "'\\n' {'key': 7} 2", "{report}");
    });
}

// covers: S20, S21
#[test]
fn a_bash_hook_is_called() {
    everybody(|user| {
        let text = "echo \"[$MIGRAINE_CMD_OUTPUT] $MIGRAINE_LOG_FILE $MIGRAINE_COMMAND$x\"; echo noise >&2; x=1";
        let script = Script::bash("post-command", text).config("log_file", &json!("./a log"));
        let home = script.installed(Home::of(user));
        let hook = answer(&home);
        assert_eq!(hook["message"], "[out\nmore\n] ./a log echo out; echo more", "{hook}");
        run(&home, WORKFLOW).ends(0).says(&["[script] noise"]);
        // Nothing outlasts a call.
        home.write("w.yaml", "name: w\nsteps: [{name: a, command: echo}, {name: b, command: echo}]");
        let report = home.json(&["run", "./w.yaml"]);
        assert_eq!(report["hooks"][1]["message"], "[\n] ./a log echo", "{report}");
    });
}

// Whatever the user's variables are called, the runner reads and writes as ever.
#[test]
fn no_variable_of_the_user_breaks_the_shell() {
    let text = "echo \"$GREETING [${at}${name}] $LC_ALL ${IFS@Q} \u{e9}\"";
    let home = Script::bash_command(text).asking(&["env_vars"]).installed(Home::new());
    for names in [
        &[("IFS", "0")][..],
        &[("__replies", "9"), ("__requests", "9"), ("__body_max", "1"), ("__send", "x")],
        &[("at", "9"), ("kind", "9"), ("name", "x"), ("body", "x"), ("LC_ALL", "C.UTF-8"), ("UID", "x"), ("a-b", "x")],
    ] {
        let mut command = home.command(["plugin", "run", "script", "go"]);
        let done = Done::of(command.env("GREETING", "hello \u{e9}").envs(names.iter().copied()));
        let [shown, locale] = if names.len() == 7 { ["9x", "C.UTF-8"] } else { ["", ""] };
        let line = format!("hello \u{e9} [{shown}] {locale} $' \\t\\n' \u{e9}\n");
        assert_eq!((done.ends(0).out.as_str(), done.err.as_str()), (line.as_str(), ""), "{names:?}: {done:?}");
    }
}

#[test]
fn a_large_output_is_whole_in_a_file() {
    everybody(|user| {
        let text = "mapfile -d '' -t parts <\"$MIGRAINE_CMD_OUTPUT_FILE\"; LC_ALL=C; total=0\n\
            for part in \"${parts[@]}\"; do total=$((total + ${#part} + 1)); done\n\
            case $MIGRAINE_CMD_OUTPUT in *'bytes left out; all of it is in $MIGRAINE_CMD_OUTPUT_FILE'*) ;; *) exit 4 ;; esac\n\
            echo \"${#parts[@]} $total ${#MIGRAINE_CMD_OUTPUT}\"";
        let home = Script::bash("post-command", text).installed(Home::of(user));
        let command = "head -c 200000 /dev/zero | tr '\\\\0' x; printf '\\\\0a'";
        home.write("w.yaml", &format!("name: w\nsteps: [{{name: s, command: \"{command}\"}}]"));
        let report = home.json(&["run", "./w.yaml"]);
        let message = report["hooks"][0]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("2 200003 656"), "{report}");
    });
}

#[test]
fn commands_have_arguments_output_and_an_end() {
    everybody(|user| {
        let text = "import sys, os, migraine\n\
            def f(args, context):\n    \
                print('args', args)\n    print('err', file=sys.stderr)\n    os.write(1, b'stray\\n')\n    \
                migraine.log('a line', 'warn')\n    migraine.state.put('k', b'v')\n    \
                print(migraine.state.get('k'), migraine.config(), context['command'])\n    \
                return int(args[0]) if args else 'the end'\n";
        let home = Script::python_command(text).config("a", &json!("b")).installed(Home::of(user));
        let done = go(&home, &[]);
        assert_eq!(done.ends(0).out, "args []\nb'v' {'a': 'b'} go\nthe end\n");
        done.says(&["err\n", "[script] stray", "a line"]);
        assert_eq!(go(&home, &["1"]).ends(1).out, "args ['1']\nb'v' {'a': 'b'} go\n");
        go(&home, &["7"]).ends(5).says(&["it ended with exit code 7"]);
        let text = "echo \"$# [$1] [$2]\"; exit ${1:-0}";
        let home = Script::bash_command(text).installed(Home::of(user));
        assert_eq!(go(&home, &[]).ends(0).out, "0 [] []\n");
        assert_eq!(go(&home, &["1", "a  'b"]).ends(1).out, "2 [1] [a  'b]\n");
        go(&home, &["3"]).ends(5).says(&["it ended with exit code 3"]);
    });
}

// covers: S64, S65, S66, S107
#[test]
fn errors_are_told_apart() {
    everybody(|user| {
        let text = "import time\ndef g(x):\n    raise ValueError('boom ' + x)\n\
            def f(config, context):\n    \
                way = config['way']\n    \
                if way == 'raise': g('bang')\n    if way == 'sleep': time.sleep(60)\n    \
                if way == 'set': return {'a': {1}}\n    if way == 'nan': return {'a': float('nan')}\n    \
                if way == 'text': return 'text'\n    if way == 'exit': __import__('os')._exit(3)\n    \
                if way == 'memory': bytearray(1 << 30)\n";
        let home = Script::python("post-command", text).config("way", &json!("")).installed(Home::of(user));
        let way = |way: &str| {
            home.ok(&["plugin", "config", "script", "set", "way", way]);
            home.write("w.yaml", WORKFLOW);
            home.ok(&["plugin", "enable", "script", "--yes"]);
            home.run(["run", "--hook-timeout", "2", "./w.yaml"])
        };
        way("raise").ends(0).says(&[
            "(plugin_failed)",
            "ValueError: boom bang",
            "File \"main.py\", line 3, in g",
            "File \"main.py\", line 6, in f",
        ]);
        way("sleep").ends(0).says(&["took longer than its limit of 2 s (limit_time)"]);
        way("set").ends(0).says(&["(protocol_error)", "Object of type set is not JSON serializable"]);
        way("nan").ends(0).says(&["(protocol_error)"]);
        way("text").ends(0).says(&["(protocol_error)", "a map was expected, not a text"]);
        way("exit").ends(0).says(&["(plugin_exited)"]);
        way("memory").ends(0).says(&["reached its memory limit of 256 MiB (limit_memory)"]);
        let home = Script::bash("post-command", "echo said; exit 9").installed(Home::of(user));
        run(&home, WORKFLOW).ends(0).says(&["its script ended with exit status 9: said (plugin_failed)"]);
    });
}

// covers: S4, S17, S18
#[test]
fn what_fails_is_followed_by_the_next() {
    everybody(|user| {
        let text = "import time\ndef f(config, context):\n    \
                if config['sleep']: time.sleep(config['sleep'])\n    raise KeyError('first')\n";
        let script = Script::new("script").file("main.py", text).config("sleep", &json!(0)).hook(&json!({
            "event": "post-command", "handler": function("f"),
            "script": "[[ $MIGRAINE_FAIL ]] && exit 4; echo \"second: $MIGRAINE_CMD_OUTPUT\"",
            "on_error": bash("echo third; true"),
        }));
        let home = script.clone().config("fail", &json!("")).installed(Home::of(user));
        run(&home, WORKFLOW)
            .ends(0)
            .says(&["second: out", "its next handler is tried: plugin 'script' failed: KeyError"]);
        let home = script.config("fail", &json!("yes")).installed(Home::of(user));
        run(&home, WORKFLOW).ends(0).says(&["[script] third", "exit status 4"]).never_says(&["second"]);
        // All within one deadline.
        home.ok(&["plugin", "config", "script", "set", "sleep", "60"]);
        home.write("w.yaml", WORKFLOW);
        let done = home.run(["run", "--hook-timeout", "1", "./w.yaml"]);
        done.ends(0).says(&["took longer than its limit of 1 s (limit_time)"]).never_says(&["third"]);
    });
}

/// A program that answers each line with what it was asked.
const LINES: &str = r#"
use strict; use JSON::PP;
open(my $in, "<&=", 3); open(my $out, ">&=", 4); $out->autoflush(1);
while (my $line = <$in>) {
  my $ask = decode_json($line);
  my ($seen) = $line =~ /"context":(.*),"output":/s;
  ($seen) = $line =~ /"context":(.*),"plugin_config":/s unless defined $seen;
  my $way = $ask->{invocation} ? $ask->{invocation}{args}[0] // '' : '';
  my $n = $ask->{call};
  my %said = (junk => "x{}", two => "{\"call\":$n,\"answer\":{}} {}", nan => "{\"call\":$n,\"answer\":{\"a\":NaN}}",
    bom => "\xef\xbb\xbf{\"call\":$n}", other => "{\"call\":99}", more => "{\"call\":$n,\"x\":1}", text => "hello",
    error => "{\"call\":$n,\"error\":\"no way\"}", code => "{\"call\":$n,\"answer\":{\"exit_code\":1,\"output\":\"o\"}}",
    long => "x" x 2000000);
  print "noise\n";
  print $out $said{$way} // encode_json({call => $n, answer => {status => "success", output => $seen // "ok"}}), "\n";
}
"#;

fn lines() -> Value {
    json!({"type": "executable", "program": "lines.pl", "interpreter": "perl", "protocol": "json"})
}

// covers: S5, S74, S89, S90, S91
#[test]
fn programs_answer_by_arguments_or_by_lines() {
    everybody(|user| {
        let tool =
            "print \"@ARGV $ENV{MIGRAINE_KEY}\\n\"; print STDERR \"usage\\n\" unless @ARGV > 1; exit($ARGV[1] // 1)";
        let perl = json!({"type": "executable", "program": "tool.pl", "interpreter": "perl"});
        let script = Script::new("script")
            .file("tool.pl", tool)
            .file("lines.pl", LINES)
            .file("echo", fs::read("/bin/echo").unwrap())
            .config("key", &json!("v w"))
            .command(&json!({"name": "go", "handler": perl}))
            .command(&json!({"name": "echo", "handler": {"type": "executable", "program": "echo"}}))
            .command(&json!({"name": "lines", "handler": lines()}));
        let home = script.installed(Home::of(user));
        assert_eq!(go(&home, &["0"]).ends(0).out, "go 0 v w\n");
        let done = go(&home, &[]);
        assert_eq!((done.ends(1).out.as_str(), done.err.lines().next()), ("go v w\n", Some("usage")));
        go(&home, &["4"]).ends(5).says(&["it ended with exit code 4"]);
        let run = |args: &[&str]| home.run([&["plugin", "run", "script"], args].concat());
        assert_eq!(run(&["echo", "a", "b"]).ends(0).out, "echo a b\n");
        assert_eq!(run(&["echo", "--help"]).ends(0).out, "echo --help\n");
        assert_eq!(run(&["lines", "x"]).ends(0).out, "ok\n");
        assert_eq!(run(&["lines", "code"]).ends(1).out, "o\n");
        run(&["lines", "error"]).ends(5).says(&["error[plugin_failed]", "no way"]);
    });
}

/// One handler of each kind for each event, and a native one: all see the same.
#[test]
fn every_kind_sees_the_same_context() {
    everybody(|user| {
        let text = "import json, migraine\ndef f(config, context):\n    \
            own = {k: v for k, v in context.items() if k not in ('output', 'plugin_config')}\n    \
            return {'success': True, 'message': json.dumps(own, separators=(',', ':'), ensure_ascii=False)}\n";
        let events = [
            "workflow-load",
            "variable-resolution",
            "pre-workflow",
            "pre-command",
            "command-output",
            "post-command",
            "command-error",
            "pre-check-status",
            "workflow-progress",
            "workflow-error",
            "post-workflow",
            "workflow:pre-deploy",
            "workflow:post-deploy",
        ];
        let home = Home::of(user);
        let kinds: [(&str, Value); 3] = [
            ("a-python", function("f")),
            ("b-bash", bash("printf %s \"seen $MIGRAINE_CONTEXT\"")),
            ("c-lines", lines()),
        ];
        for (name, handler) in kinds {
            let script = Script::new(name).file("main.py", text).file("lines.pl", LINES).asking(&["task_read"]);
            // The same place in each manifest, so that the handler has the same name.
            events
                .iter()
                .fold(script, |script, event| script.hook(&json!({"event": event, "handler": handler})))
                .install(&home);
        }
        let hooks: Vec<Value> = events.iter().map(|event| json!({"event": event, "handler": "seen"})).collect();
        home.install(&remade("hooks", &json!({"hooks": hooks, "permissions": ["task_read"]})));
        home.write(
            "w.yaml",
            "name: w\npre_checks: [{name: check, command: 'true # {{who}}'}]\n\
             steps: [{name: good, command: 'echo \"h\\u00e9\"', on_success: 'action:deploy'},\n  \
             {name: bad, command: 'echo no; exit 3'}]\n\
             actions: {deploy: {command: echo deployed}}\nconfig: {variables: {who: world}}",
        );
        let done = home.run(["--format", "json", "run", "./w.yaml"]);
        let report: Value = serde_json::from_str(&done.ends(1).out).unwrap();
        let hooks = report["hooks"].as_array().unwrap();
        let messages = |name: &str| -> Vec<String> {
            let own = hooks.iter().filter(|hook| hook["plugin"] == name);
            let text = |hook: &Value| hook["message"].as_str().unwrap_or_else(|| panic!("{hook}")).to_owned();
            own.map(|hook| text(hook).trim_start_matches("seen ").to_owned()).collect()
        };
        let (python, bash, lines) = (messages("a-python"), messages("b-bash"), messages("c-lines"));
        let notes = home.ok(&["plugin", "hooks", "notes"]).out;
        let notes: Vec<Value> = notes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let noted = |event: &&&str| notes.iter().any(|note| note["event"] == **event);
        assert_eq!(events.iter().filter(noted).count(), events.len(), "{report}");
        assert!(notes.len() > 12 && [&python, &bash, &lines].iter().all(|seen| seen.len() == notes.len()), "{report}");
        for (((python, bash), lines), note) in python.iter().zip(&bash).zip(&lines).zip(&notes) {
            assert_eq!((python, lines), (bash, bash));
            // A library has another handler's name, and the same bytes otherwise.
            let script: Context = serde_json::from_str(bash).unwrap();
            let mut library: Context = serde_json::from_str(note["whole"].as_str().unwrap()).unwrap();
            assert_eq!(serde_json::to_string(&library).unwrap(), note["whole"].as_str().unwrap());
            library.handler.clone_from(&script.handler);
            assert_eq!(&serde_json::to_string(&library).unwrap(), bash);
        }
    });
}

/// The design's own plugin, copied by the letter.
const SEED_YAML: &str = include_str!("../../examples/log-processor/log-processor.yaml");
const SEED_PYTHON: &str = include_str!("../../examples/log-processor/log_processor.py");

// covers: S6, S20, S24, S25
#[test]
fn the_log_processor_runs_as_it_was_designed() {
    // One line: the output of a command arrives in as many pieces as it was written in.
    let line = "name: w\nsteps: [{name: s, command: echo out}]";
    everybody(|user| {
        let home = Home::of(user);
        home.write("log-processor.yaml", SEED_YAML);
        home.write("log_processor.py", SEED_PYTHON);
        let install = ["plugin", "install", "./log-processor.yaml", "--allow-unsigned", "--yes"];
        home.ok(&[&install[..], &["--grant", "filesystem=write:."]].concat());
        run(&home, line).ends(0).says(&["Logged to ./workflow.log"]);
        let log = home.work().join("workflow.log");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("] [w] [") && text.contains("]: out\n"), "{text}");
        // Over its size it is rotated.
        home.ok(&["plugin", "config", "log-processor", "set", "max_file_size", "1KB"]);
        fs::write(&log, "x".repeat(2000)).unwrap();
        user.give(&log);
        run(&home, line).ends(0);
        assert_eq!(fs::read_to_string(home.work().join("workflow.log.old")).unwrap(), "x".repeat(2000));
        assert!(fs::read_to_string(&log).unwrap().contains("]: out\n"));
        // When Python raises, the Bash of the manifest runs.
        let old = home.work().join("workflow.log.old");
        fs::remove_file(&old).unwrap();
        fs::create_dir(&old).unwrap();
        fs::write(&log, "x".repeat(2000) + "\n").unwrap();
        run(&home, line).ends(0).says(&["its next handler is tried"]);
        let text = fs::read_to_string(&log).unwrap();
        let own = text.lines().find(|line| line.ends_with(": out") && !line.starts_with('['));
        assert!(own.is_some_and(|line| line.len() > 20), "{text}");
    });
}

fn sees(home: &Home) -> String {
    go(home, &[]).ends(0).out.clone()
}

#[test]
fn every_python_is_one() {
    everybody(|user| {
        let text = "import sys\ndef f(args, context):\n    print(sys.base_prefix, sys.version_info[:2])\n    \
            import json, decimal, hashlib\n    hashlib.sha256(b'').hexdigest()\n";
        let script = Script::python_command(text);
        let with_path = |home: &Home, path: &Path| {
            let mut command = home.command(["plugin", "run", "script", "go"]);
            command.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
            Done::of(&mut command)
        };
        let home = script.installed(Home::of(user));
        assert!(sees(&home).starts_with("/usr ("));
        // A copy under another prefix.
        let folder = tempfile::Builder::new().prefix("migraine-python-").tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let prefix = folder.path().canonicalize().unwrap().join("prefix");
        let python = Python::at(Path::new("/usr/bin/python3")).unwrap();
        for part in ["bin", "lib"] {
            fs::create_dir_all(prefix.join(part)).unwrap();
        }
        fs::copy(&python.program, prefix.join("bin/python3")).unwrap();
        let copied = std::process::Command::new("cp").arg("-rL").arg(&python.library).arg(prefix.join("lib")).status();
        assert!(copied.is_ok());
        let done = with_path(&home, &prefix.join("bin"));
        assert!(done.ends(0).out.starts_with(&format!("{} (", prefix.display())), "{done:?}");
        let other = format!("and is run by python {} ({}/bin/python3) now", python.version, prefix.display());
        done.says(&["it was installed with python", &other]);
        // A virtual environment, with a package of its own.
        let venv = folder.path().canonicalize().unwrap().join("venv");
        let packages = venv.join(format!("lib/python{}/site-packages", python.version));
        fs::create_dir_all(&packages).unwrap();
        fs::create_dir_all(venv.join("bin")).unwrap();
        fs::write(venv.join("pyvenv.cfg"), "home = /usr/bin\ninclude-system-site-packages = false\n").unwrap();
        std::os::unix::fs::symlink("/usr/bin/python3", venv.join("bin/python3")).unwrap();
        fs::write(packages.join("third.py"), "VALUE = 'third'\n").unwrap();
        fs::write(packages.join("x.pth"), "import os; os.environ['PTH'] = 'ran'\n").unwrap();
        let text = "import os, third\ndef f(args, context):\n    print(third.VALUE, os.environ.get('PTH'))\n";
        let home = Script::python_command(text).installed(Home::of(user));
        assert_eq!(with_path(&home, &venv.join("bin")).ends(0).out, "third None\n");
        go(&home, &[]).ends(5).says(&["a plugin may not import `third`"]);
    });
}

#[test]
fn a_shim_of_pyenv_is_followed() {
    let shims = std::env::home_dir().unwrap_or_default().join(".pyenv/shims");
    if !shims.join("python3").is_file() {
        // It is wanted where there is one, and nobody has to install it.
        eprintln!("there is no pyenv: its shims are not followed here");
        return;
    }
    let text = "import sys\ndef f(args, context):\n    print(sys.base_prefix)\n";
    let home = Script::python_command(text).installed(Home::new());
    let mut command = home.command(["plugin", "run", "script", "go"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", shims.display()));
    let done = Done::of(&mut command);
    assert!(done.ends(0).out.contains("/.pyenv/versions/3."), "{done:?}");
}

#[test]
fn without_python_other_plugins_run() {
    everybody(|user| {
        let home = Script::python_command("def f(args, context):\n    print('x')\n").installed(Home::of(user));
        home.install(&remade("hooks", &json!({"hooks": [], "permissions": []})));
        let without = |args: &[&str]| {
            let mut command = home.command(args);
            command.env("PATH", "/nowhere");
            Done::of(&mut command)
        };
        let done = without(&["plugin", "run", "script", "go"]);
        done.ends(6).says(&["error[interpreter_missing]", "it needs Python 3, which is not on this machine"]);
        done.says(&["it was installed with python 3.", "which is gone"]);
        without(&["plugin", "run", "hooks", "settings"]).ends(0);
        without(&["doctor"]).ends(0).says(&["none: it needs Python 3", "script       it was installed with python 3."]);
        without(&["plugin", "info", "script"])
            .ends(0)
            .says(&["which is gone", "it needs Python 3, which is not on this machine"]);
        let info = home.json(&["plugin", "info", "script"]);
        let path = info["interpreters"][0]["path"].as_str().unwrap();
        assert_eq!(Path::new(path), Path::new("/usr/bin/python3").canonicalize().unwrap());
        assert!(info["interpreters"][0]["version"].as_str().unwrap().starts_with("3."), "{info}");
        assert_eq!(info["interpreter_changes"], Value::Null);
        // Installed without one, it waits for one.
        let (_folder, path) = Script::python_command("def f(args, context):\n    print('x')\n").package();
        let other = Home::of(user);
        let mut command = other.command(["plugin", "install", &path.display().to_string()]);
        command.env("PATH", "/nowhere");
        Done::of(&mut command).ends(0).says(&["it cannot run yet: it needs Python 3"]);
        assert_eq!(go(&other, &[]).ends(0).out, "x\n");
        home.ok(&["doctor"]).says(&["(/usr/bin/python3."]);
    });
}

#[test]
fn granted_programs_are_started_by_the_script_itself() {
    everybody(|user| {
        let text = "echo b a | tr ' ' '\\n' | sort; cat <<<here; ls / 2>&1";
        let home = Script::bash_command(text).asking(&["exec=tr", "exec=sort", "exec=cat"]).installed(Home::of(user));
        let done = go(&home, &[]);
        assert!(done.out.starts_with("a\nb\nhere\n"), "{done:?}");
        assert!(done.out.contains("Permission denied") || done.err.contains("exec=ls"), "{done:?}");
        let text = "import subprocess\ndef f(args, context):\n    \
            print(subprocess.run(['cat'], input=b'x', capture_output=True).stdout)\n    \
            try: subprocess.run(['ls'])\n    except OSError as error: print(type(error).__name__)\n";
        let home = Script::python_command(text).asking(&["exec=cat"]).installed(Home::of(user));
        assert_eq!(go(&home, &[]).ends(0).out, "b'x'\nPermissionError\n");
    });
}

#[test]
fn a_set_of_programs_is_granted_at_once() {
    everybody(|user| {
        let text =
            "printf 'b\\na\\nb\\n' | sort | uniq -c | tr -s ' ' | head -n 1; env true 2>/dev/null || echo refused";
        let script = Script::bash_command(text).asking(&["exec=coreutils"]);
        let (_folder, path) = script.package();
        let path = path.display().to_string();
        let home = Home::of(user);
        let done = home.run(["plugin", "install", &path]);
        done.ends(6).says(&["run the programs of coreutils: base64, basename, cat, ", ", uniq, wc, yes"]);
        home.ok(&["plugin", "enable", "script", "--yes"]);
        assert_eq!(go(&home, &[]).ends(0).out, " 1 a\nrefused\n");
        // A cap takes single programs of it away.
        let policy = home.path().join("policy.yaml");
        fs::write(&policy, "permissions: {exec: [sort, uniq, head]}\n").unwrap();
        fs::set_permissions(&policy, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        user.give(&policy);
        let done = go(&home, &[]);
        assert!(done.err.contains("tr: Permission denied"), "{done:?}");
        let info = home.ok(&["plugin", "info", "script"]);
        info.says(&["run the program sort"]).never_says(&["can          run the programs of coreutils"]);
    });
}
