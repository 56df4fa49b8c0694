//! Scripts answer hooks and commands as libraries do.

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
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

/// The data of the only hook of a run.
fn answer(home: &Home) -> Value {
    home.write("w.yaml", WORKFLOW);
    let report = home.json(&["run", "./w.yaml"]);
    let hooks = report["hooks"].as_array().unwrap();
    assert_eq!(hooks.len(), 1, "{report}");
    hooks[0].clone()
}

#[test]
fn a_python_hook_is_called() {
    everybody(|user| {
        let text = "count = 0\n\
            def f(config, context):\n    \
                global count\n    count += 1\n    print('printed')\n    \
                return {'status': 'success', 'output': f\"{context['output']!r} {config}\", 'count': count}\n";
        let home = Script::python("post-command", text).config("key", &json!(7)).installed(Home::of(user));
        let hook = answer(&home);
        assert_eq!(hook["message"], "'out\\nmore\\n' {'key': 7}", "{hook}");
        run(&home, WORKFLOW).ends(0).says(&["[script] printed"]);
    });
}

#[test]
fn a_bash_hook_is_called() {
    everybody(|user| {
        let text = "echo \"[$MIGRAINE_CMD_OUTPUT] $MIGRAINE_LOG_FILE $MIGRAINE_COMMAND\"; echo noise >&2; x=$((x+1))";
        let script = Script::bash("post-command", text).config("log_file", &json!("./a log"));
        let home = script.installed(Home::of(user));
        let hook = answer(&home);
        assert_eq!(hook["message"], "[out\nmore\n] ./a log echo out; echo more", "{hook}");
        run(&home, WORKFLOW).ends(0).says(&["[script] noise"]);
    });
}
