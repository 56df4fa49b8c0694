//! What is shown is true: text of others is escaped, stands on one line behind the host's own, and asks nobody for consent.

use std::process::Command;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::run::User;
use migraine_tests::scripts::{Script, function};
use migraine_tests::terminal::{converse, converse_by, shell};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

/// Clears the screen, sets the title and the clipboard, asks for settings, moves by an 8-bit control, turns the direction,
/// hides, piles up, and forges two lines.
const EVIL: &str = "x\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}P$q\"p\u{1b}\\\u{9b}6n\u{202e}txt\u{200b}e\u{301}\u{301}\
    \u{e0041}\nPermissions: none\r\nSignature: OK";
/// The lines that it forges.
const FORGED: [&str; 2] = ["Permissions: none", "Signature: OK"];

fn everybody(test: impl Fn(User)) {
    kernel::users().iter().copied().for_each(test);
}

/// A value as YAML in letters of ASCII: some of the others are refused where they are not escaped.
fn ascii(value: &Value) -> String {
    let escaped = |character: char| match u32::from(character) {
        0..0x80 => character.to_string(),
        number @ 0x80..=0xffff => format!("\\u{number:04x}"),
        number => format!("\\U{number:08x}"),
    };
    value.to_string().chars().map(escaped).collect()
}

/// Whether a terminal would do something else with it than show it in its place.
fn acts(character: char) -> bool {
    let invisible = matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{300}'..='\u{36f}' | '\u{e0000}'..='\u{e0fff}');
    invisible || character.is_control() && character != '\n'
}

/// Nothing of it acts, and no line is forged.
fn tame(done: &Done) -> &Done {
    for text in [&done.out, &done.err] {
        assert!(!text.chars().any(acts), "{:?}: {done:?}", text.chars().find(|character| acts(*character)));
        let forged = text.lines().find(|line| FORGED.iter().any(|forged| line.starts_with(forged)));
        assert_eq!(forged, None, "{done:?}");
    }
    done
}

/// The same of a terminal, which has line ends of its own and the colours of the host.
fn tame_on_terminal(done: &Done) -> String {
    let text =
        done.out.replace("\r\n", "\n").replace("\u{1b}[1m", "").replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
    assert!(!text.chars().any(acts), "{text:?}");
    text
}

/// Each text field of a manifest says it.
fn hostile(description: &str) -> Script {
    let command = json!({"name": "go", "description": EVIL, "usage": EVIL, "handler": function("f")});
    let text = "def f(args, context):\n    pass\n";
    ["description", "author", "license"]
        .iter()
        .fold(Script::new("script").file("main.py", text), |script, field| script.field(field, &json!(EVIL)))
        .field("description", &json!(description))
        .field("install_requires", &json!([EVIL]))
        .config("key", &json!(EVIL))
        .command(&command)
        .hook(&json!({"event": "post-command", "pattern": format!("({}|.*)", EVIL.replace(['\u{1b}', '[', '\\', '$'], "")), "handler": function("f")}))
}

// covers: A194, A196
#[test]
fn a194_a_manifest_is_shown_escaped() {
    everybody(|user| {
        let home = Home::of(user);
        let (_folder, path) = hostile(EVIL).package();
        let path = path.display().to_string();
        tame(home.run(["plugin", "install", &path]).ends(6));
        tame(&home.ok(&["plugin", "enable", "script", "--yes"]));
        for line in [
            &["plugin", "list"][..],
            &["plugin", "info", "script"],
            &["plugin", "info", &path],
            &["plugin", "config", "script"],
            &["plugin", "audit", "script"],
            &["plugin", "audit", &path],
            &["plugin", "audit"],
            &["plugin", "run", "script", "--help"],
            &["plugin", "run", "script"],
            &["plugin", "run", "script", "go", "--help"],
            &["plugin", "run", "script", EVIL],
            &["plugin", "config", "script", "get", "key"],
            &["plugin", "config", "script", "get", EVIL],
            &["plugin", "refresh"],
            &["plugin", "verify", "script"],
        ] {
            tame(&home.run(line));
            let json = [&["--format", "json"], line].concat();
            let done = home.run(&json);
            for text in [&done.out, &done.err] {
                // Help is for people in either format.
                let is_help = line.contains(&"run");
                let is_json = is_help || text.is_empty() || serde_json::from_str::<Value>(text).is_ok();
                assert!(is_json && !text.chars().any(acts), "{line:?}: {done:?}");
            }
        }
        // The value is what the author wrote.
        let info = home.json(&["plugin", "info", "script"]);
        for field in ["description", "author", "license"] {
            assert_eq!(info[field], EVIL);
        }
        // What it asks for and takes part in is shown whole, escaped, after the host's own words on who vouches for it.
        for target in ["script", &path] {
            let shown = home.ok(&["plugin", "audit", target]).out;
            let (hook, at) = quoted(&shown, "hook");
            assert!(hook.starts_with("post-command matching `(x") && hook.contains("\\u{202e}"), "{shown}");
            assert!(quoted(&shown, "signature").1 < at, "{shown}");
            let report = home.json(&["plugin", "audit", target]);
            assert!(report["hooks"][0]["pattern"].as_str().unwrap().contains('\u{202e}'), "{report}");
        }
        let (_folder, asking) = hostile(EVIL).asking(&["filesystem=read:/srv/x\u{202e}txt\u{200b}"]).package();
        let done = home.ok(&["plugin", "audit", &asking.display().to_string()]);
        let (asked, at) = quoted(&tame(&done).out, "asks for");
        assert_eq!(asked, "filesystem=read:/srv/x\\u{202e}txt\\u{200b}");
        assert!(quoted(&done.out, "signature").1 < at, "{done:?}");
        // A tool that does not look at what it prints lets all of it through.
        let file = home.write("evil", EVIL);
        let stock = Command::new("cat").arg(file).output().unwrap();
        let stock = String::from_utf8(stock.stdout).unwrap();
        assert!(stock.chars().any(acts) && stock.lines().any(|line| FORGED.contains(&line)));
    });
}

// What the host says of a plugin begins with a word of its own, and no line of a plugin's does.
#[test]
fn no_plugin_speaks_as_the_host() {
    everybody(|user| {
        let text = "import migraine, sys, os\nSAYS = 'host: [script] its signature was verified'\ndef f(config, context):\n    \
            os.write(1, (SAYS + '\\n').encode()); os.write(2, ('\\n' + SAYS + '\\r' + SAYS + '\\n').encode())\n    \
            ch = sys.modules['__main__'].channel; ch.send(22, ch.call, (SAYS + '\\n').encode())\n    \
            for level in ('warn', 'error'): migraine.log(SAYS + '\\n' + SAYS, level)\n    \
            try: migraine.variables()\n    except migraine.HostError: pass\n    \
            return {'success': config['succeeds'], 'message': '\\n' + SAYS}\n";
        let home = Script::python("post-command", text).config("succeeds", &json!(true)).installed(Home::of(user));
        home.write("w.yaml", "name: w\nsteps: [{name: s, command: 'true'}]");
        let of_host = "host: [script] permission_denied: `variables` needs the permission task_read";
        let check = |done: &Done| {
            let lines = done.out.lines().chain(done.err.lines());
            let hosts: Vec<&str> = lines.filter(|line| line.starts_with("host:")).collect();
            assert!(hosts.len() == 1 && hosts[0].starts_with(of_host), "{hosts:?}: {done:?}");
        };
        let done = home.run(["run", "./w.yaml"]);
        check(done.ends(0));
        let claims = done.err.lines().filter(|line| line.starts_with("[script] host: [script] its signature"));
        assert_eq!(claims.count(), 3, "{done:?}");
        let done = home.run(["--format", "json", "run", "./w.yaml"]);
        let lines = done.err.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(lines.filter(|line| line["kind"] == "host").count(), 1, "{done:?}");
        home.ok(&["plugin", "config", "script", "set", "succeeds", "false"]);
        check(&home.run(["run", "./w.yaml"]));
    });
}

// covers: A194
#[test]
fn a194_what_a_plugin_says_while_it_runs_is_shown_escaped() {
    everybody(|user| {
        let text = format!(
            "import migraine, sys, os\nEVIL = {}\ndef f(config, context):\n    \
                print(EVIL); os.write(2, EVIL.encode()); migraine.log(EVIL, 'error'); migraine.log(EVIL, 'warn')\n    \
                if context['command']['resolved'] == 'echo raise': raise ValueError(EVIL)\n    \
                if context['command']['resolved'] == 'echo junk': return {{'success': EVIL}}\n    \
                return {{'success': True, 'message': EVIL, 'result_data': {{EVIL: EVIL}}}}\n\
            def g(args, context):\n    \
                if args: raise migraine.HostError(EVIL, 'failed', EVIL)\n    raise ValueError(EVIL)\n",
            serde_json::to_string(EVIL).unwrap().replace("\u{e0041}", "\\U000e0041")
        );
        let script = Script::python("post-command", &text).command(&json!({"name": "go", "handler": function("g")}));
        let home = script.installed(Home::of(user));
        let step = |command: &str| json!({"name": EVIL, "description": EVIL, "command": command});
        let steps = ["echo fine", "echo raise", "echo junk"].map(step);
        home.write("w.yaml", &ascii(&json!({"name": EVIL, "description": EVIL, "steps": steps})));
        tame(home.run(["run", "./w.yaml"]).ends(0)).says(&["ValueError: x\\u{1b}[2J"]);
        let done = home.run(["--format", "json", "run", "./w.yaml"]);
        tame(done.ends(0));
        let report: Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!((&report["workflow"], &report["hooks"][0]["message"]), (&json!(EVIL), &json!(EVIL)), "{report}");
        for line in [&["plugin", "run", "script", "go"][..], &["plugin", "run", "script", "go", "help"]] {
            tame(home.run(line).ends(5)).says(&["error[plugin_failed]"]);
            let json = [&["--format", "json"], line].concat();
            let done = home.run(&json);
            assert!(tame(&done).err.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{done:?}");
        }
        // Each line that a plugin logs says whose it is.
        let done = home.run(["run", "./w.yaml"]);
        assert!(done.err.contains("[script] error: Permissions: none"), "{done:?}");
    });
}

// covers: A194
#[test]
fn a194_names_of_files_keys_and_folders_are_shown_escaped() {
    everybody(|user| {
        let home = Home::of(user);
        // Of a path: what is there and what is not.
        let name = EVIL.replace('/', "");
        let manifest = json!({"name": "p", "version": "1.0.0", "commands": [{"name": "go", "handler": function("f")}]});
        home.write("p/plugin.json", &manifest.to_string());
        home.write("p/main.py", "def f(args, context):\n    pass\n");
        home.write(&format!("p/{name}.py"), "import socket\n");
        home.write(&format!("{name}/plugin.json"), &manifest.to_string());
        home.write(&format!("{name}/main.py"), "def f(args, context):\n    pass\n");
        home.write(&format!("{name}.yaml"), "name: [");
        home.write("w.yaml", &format!("name: w\nsteps: [{{name: s, command: 'true', {}: 1}}]", ascii(&json!(EVIL))));
        let (folder, file) = (format!("./{name}"), format!("./{name}.yaml"));
        for line in [
            &["plugin", "install", "./p", "--allow-unsigned"][..],
            &["plugin", "install", &folder],
            &["plugin", "info", &folder],
            &["plugin", "info", &format!("./no{name}")],
            &["plugin", "audit", "./p"],
            &["plugin", "audit", &folder],
            &["plugin", "install", &file],
            &["plugin", "run", &name],
            &["plugin", "enable", &name],
            &["run", &file],
            &["run", &format!("./no{name}")],
            &["run", "./w.yaml"],
            &["run", &name],
            &["key", "trust", &name, "--scope", "*"],
            &["key", "show", &name],
            &["plugin", "list", "--all"],
        ] {
            tame(&home.run(line));
            tame(&home.run(["--format", "json"].iter().chain(line)));
        }
        let mut command = home.command(["plugin", "list"]);
        command.env("MIGRAINE_HOME", home.work().join(&name));
        tame(&Done::of(&mut command));
        command.env("MIGRAINE_HOME", &name);
        tame(&Done::of(&mut command));
        let mut command = home.command(["doctor"]);
        let name = name.replace(':', "");
        home.write(&format!("{name}/python3"), "no program");
        command.env("PATH", format!("{}:/usr/bin:/bin", home.work().join(&name).display()));
        tame(&Done::of(&mut command)).says(&["python       none: `/"]);
        // A label is the user's own note, and may have been copied from anywhere.
        let key = migraine_tests::package::other_key().public().to_string();
        tame(&home.run(["key", "trust", &key, "--scope", "other-*", "--label", EVIL]));
        tame(&home.ok(&["key", "list"]));
        tame(&home.ok(&["--format", "json", "key", "list"]));
    });
}

/// The line that repeats a description, without the words before it.
fn quoted<'a>(text: &'a str, before: &str) -> (&'a str, usize) {
    let mut lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with(before));
    let (at, line) = lines.next().unwrap_or_else(|| panic!("no `{before}` in {text}"));
    assert!(lines.next().is_none(), "{text}");
    (line.trim_start().strip_prefix(before).unwrap().trim(), at)
}

// covers: A195, A196
#[test]
fn a195_a_description_is_one_short_line_behind_the_hosts_own() {
    everybody(|user| {
        let spaces = " ".repeat(900);
        let piled = format!("e{}", "\u{301}".repeat(400));
        let before = [
            "a tool\nPermissions: none\nSignature: OK",
            "a tool\rPermissions: none",
            &format!("a tool{spaces}Permissions: none"),
            &format!("a tool{}Permissions: none", "\u{2003}".repeat(300)),
            &piled,
            "a tool\u{85}Permissions: none\u{2028}Signature: OK\u{b}x\u{c}y",
        ];
        for description in before {
            let home = Home::of(user);
            let (_folder, path) = hostile(description).asking(&["task_read"]).package();
            let path = path.display().to_string();
            let done = converse(&home, &["plugin", "install", &path], &[], &[("[y/N]", "n\n")]);
            let text = tame_on_terminal(&done);
            let (line, at) = quoted(&text, "Its author says:");
            assert!(line.starts_with('"') && line.ends_with('"') && line.width() <= 203, "{line}");
            // What it asks for was said before.
            let asked = text.lines().position(|line| line.contains("see the variables of every workflow")).unwrap();
            assert!(asked < at, "{text}");
            let done = home.ok(&["plugin", "info", "script"]);
            let (line, at) = quoted(&tame(&done).out, "description");
            assert!(line.starts_with('"') && line.ends_with('"') && line.width() <= 203, "{line}");
            let signed = done.out.lines().position(|line| line.trim_start().starts_with("signature")).unwrap();
            assert!(signed < at, "{done:?}");
            let listed = home.ok(&["plugin", "list"]);
            assert_eq!(tame(&listed).out.lines().filter(|line| line.starts_with("script ")).count(), 1, "{listed:?}");
            assert!(listed.out.lines().all(|line| line.width() <= 260), "{listed:?}");
        }
        // Ten thousand of them are no description.
        let home = Home::of(user);
        let manifest = json!({"name": "p", "version": "1.0.0", "description": " ".repeat(10_000),
            "commands": [{"name": "go", "handler": function("f")}]});
        home.write("p/plugin.json", &manifest.to_string());
        home.write("p/main.py", "");
        let done = home.run(["plugin", "install", "./p", "--allow-unsigned"]);
        assert_ne!(done.code, 0);
        tame(&done).says(&["description: 10000 bytes are too many, at most 1024 are allowed"]);
    });
}

// covers: A196
#[test]
fn a196_a_name_has_no_hidden_letters() {
    everybody(|user| {
        let home = Home::of(user);
        for name in [
            "ac\u{200b}me",
            "\u{202e}emca",
            "acme\u{301}",
            "ac\u{ad}me",
            "\u{430}cme",
            "acme\u{feff}",
            "acme ",
            "ac\nme",
            "ac\u{1b}[1mme",
            "\u{ff41}cme",
            "acme\u{e0041}",
            "a\u{34f}cme",
        ] {
            let manifest =
                json!({"name": name, "version": "1.0.0", "commands": [{"name": "go", "handler": function("f")}]});
            home.write("p/plugin.json", &manifest.to_string());
            home.write("p/main.py", "");
            for line in [&["plugin", "install", "./p", "--allow-unsigned", "--yes"][..], &["plugin", "info", "./p"]] {
                let done = home.run(line);
                assert_ne!(done.code, 0, "{name:?}: {done:?}");
                tame(&done);
            }
            let manifest =
                json!({"name": "p", "version": "1.0.0", "commands": [{"name": name, "handler": function("f")}]});
            home.write("p/plugin.json", &manifest.to_string());
            assert_ne!(tame(&home.run(["plugin", "install", "./p", "--allow-unsigned", "--yes"])).code, 0, "{name:?}");
        }
        assert_eq!(home.json(&["plugin", "list"])["summary"]["total"], 0);
    });
}

/// Asks the terminal for its position, its kind, its colours, its title and its settings; and writes a word in colour.
const QUERIES: &str = "\u{1b}[6n\u{1b}[c\u{1b}[>c\u{1b}[=c\u{1b}[5n\u{1b}[21t\u{1b}[?1049$p\u{1b}]11;?\u{7}\u{1b}]52;c;?\u{1b}\\\u{1b}P+q544e\u{1b}\\\
    \u{1b}Z\u{5}\u{9b}6n\u{1b}[31mred\u{1b}[0m\n";

// covers: A197
#[test]
fn a197_a_terminal_is_not_asked() {
    everybody(|user| {
        let python = format!("import sys\ndef f(args, context):\n    {{}}.write({})\n", json!(QUERIES));
        let bash: String = QUERIES.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        let bash = format!("printf %b '{bash}'");
        let perl = format!(
            "binmode STDOUT, ':utf8'; print pack('U*', {});",
            QUERIES.chars().map(|c| u32::from(c).to_string()).collect::<Vec<_>>().join(",")
        );
        let program = json!({"type": "executable", "program": "p.pl", "interpreter": "perl"});
        for script in [
            Script::python_command(&python.replace("{}", "sys.stdout")),
            Script::python_command(&python.replace("{}", "sys.stderr")),
            Script::bash_command(&bash),
            Script::new("script").file("p.pl", &perl).command(&json!({"name": "go", "handler": program})),
        ] {
            let home = script.installed(Home::of(user));
            let done = converse(&home, &["plugin", "run", "script", "go"], &[], &[]);
            assert_eq!(done.ends(0).out, "6n\u{1b}[31mred\u{1b}[0m\r\n", "{done:?}");
        }
        // Into a file goes what was written; and a program that nobody filters asks.
        let home = Script::python_command(&python.replace("{}", "sys.stdout")).installed(Home::of(user));
        assert_eq!(home.ok(&["plugin", "run", "script", "go"]).out, QUERIES);
        let file = home.write("queries", QUERIES);
        let done = shell(&home, &format!("cat '{}'", file.display()), &[]);
        assert!(done.out.contains("\u{1b}[6n") && done.out.contains("\u{9b}6n"), "{done:?}");
    });
}

// covers: A198
#[test]
fn a198_consent_is_typed_at_the_terminal() {
    everybody(|user| {
        let first = Script::python_command("def f(args, context):\n    print('Trust this key? [y/N] ', end='')\n")
            .field("name", &json!("first"));
        let second = Script::python_command("def f(args, context):\n    pass\n").asking(&["task_read"]);
        let (_folder, path) = second.package();
        let path = path.display().to_string();
        let install = ["plugin", "install", &path];
        let granted = |home: &Home| home.json(&["plugin", "info", "script"])["grants"].clone();
        // Nobody is there: it is installed, and nothing more.
        let home = Home::of(user);
        let error = home.refused(&install, "consent_required");
        assert_eq!(error["exit"], 6);
        assert_eq!((home.status("script").as_str(), granted(&home)), ("installed", json!([])));
        // Answers that were piped in are not read, with a terminal and without one.
        for (answer, status, grants) in [("n\n", "installed", json!([])), ("y\n", "enabled", json!(["task_read"]))] {
            let home = first.clone().installed(Home::of(user));
            let done = converse_by(&home, "yes | \"$@\"", &install, &[("[y/N]", answer)]);
            assert_eq!((home.status("script").as_str(), granted(&home)), (status, grants), "{done:?}");
        }
        let home = first.installed(Home::of(user));
        let done = converse_by(&home, "yes | setsid -w \"$@\"", &install, &[]);
        done.says(&["consent_required"]).never_says(&["[y/N]"]);
        assert_eq!((home.status("script").as_str(), granted(&home)), ("installed", json!([])));
        // What a plugin asks is answered to nobody: its question ends with it, before anything is typed.
        let before = home.snapshot().into_keys().collect::<Vec<_>>();
        let done = converse(&home, &["plugin", "run", "first", "go"], &[], &[]);
        assert_eq!(done.ends(0).out, "Trust this key? [y/N] ");
        assert_eq!(home.snapshot().into_keys().collect::<Vec<_>>(), before);
        assert_eq!(granted(&home), json!([]));
    });
}

// covers: A198
#[test]
fn a198_no_plugin_is_alive_while_the_question_stands() {
    everybody(|user| {
        let text = "import time\ndef f(args, context):\n    time.sleep(5)\n";
        let home = Script::python_command(text).field("name", &json!("first")).installed(Home::of(user));
        let (_folder, path) =
            Script::python_command("def f(args, context):\n    pass\n").asking(&["task_read"]).package();
        let path = path.display().to_string();
        // A launcher is a child of the product, and the worker a child of that.
        let line =
            "\"$@\" & pid=$!; sleep 1; echo \"children: [$(cat /proc/$pid/task/*/children)]\"; kill $pid; wait $pid";
        let done = shell(&home, line, &["plugin", "install", &path]);
        assert!(done.out.contains("It wants to:") && done.out.contains("children: []"), "{done:?}");
        let done = shell(&home, line, &["plugin", "run", "first", "go"]);
        assert!(done.out.contains("children: [") && !done.out.contains("children: []"), "{done:?}");
    });
}
