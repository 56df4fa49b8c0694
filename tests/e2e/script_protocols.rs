//! Programs of a plugin's own: what the caller pipes in, and what they ask of the host in the words of their protocol.

use std::io::Write as _;
use std::os::unix::net::UnixListener;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::run::User;
use migraine_tests::scripts::{Script, function};
use serde_json::{Value, json};

fn everybody(test: impl Fn(User)) {
    kernel::users().iter().copied().for_each(test);
}

fn perl(program: &str, protocol: &str) -> Value {
    json!({"type": "executable", "program": program, "interpreter": "perl", "protocol": protocol})
}

/// Runs a command with this input, by a pipe.
fn fed(home: &Home, args: &[&str], input: &[u8]) -> Done {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = home.command([&["plugin", "run", "script"], args].concat());
    command.stdin(reader);
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // Whoever reads only a part of it ends before the rest is written.
        let _ = writer.write_all(&input);
    });
    let done = Done::of(&mut command);
    drop(command);
    feeder.join().unwrap();
    done
}

const COUNT: &str = "binmode STDIN; if (@ARGV > 1) { print scalar <STDIN>; exit 3 } \
    my ($n, $sum) = (0, 0); while (read(STDIN, my $piece, 65536)) { $n += length $piece; $sum += unpack('%32C*', $piece) }\n\
    print \"$n $sum\\n\";";

#[test]
fn a_program_reads_what_the_caller_pipes_in() {
    everybody(|user| {
        let script = Script::new("script")
            .file("count.pl", COUNT)
            .file("main.py", "import sys\ndef f(args, context):\n    data = sys.stdin.buffer.read()\n    print(len(data), sum(data))\n")
            .command(&json!({"name": "go", "stdin": true, "handler": perl("count.pl", "argv")}))
            .command(&json!({"name": "deaf", "handler": perl("count.pl", "argv")}))
            .command(&json!({"name": "python", "stdin": true, "handler": function("f")}))
            .command(&json!({"name": "deaf-python", "handler": function("f")}));
        let home = script.installed(Home::of(user));
        let large: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        let sum: u64 = large.iter().map(|byte| u64::from(*byte)).sum();
        for (command, deaf) in [("go", "deaf"), ("python", "deaf-python")] {
            let said = format!("{} {sum}\n", large.len());
            assert_eq!(fed(&home, &[command], &large).ends(0).out, said);
            assert_eq!(fed(&home, &[command], b"").ends(0).out, "0 0\n");
            assert_eq!(home.ok(&["plugin", "run", "script", command]).out, "0 0\n");
            // One that does not ask for it gets nothing of it.
            assert_eq!(fed(&home, &[deaf], b"secret").ends(0).out, "0 0\n");
        }
        // What it leaves unread holds nobody up.
        assert_eq!(fed(&home, &["go", "first"], &[b"line\n".as_slice(), &large].concat()).ends(5).out, "line\n");
        // A file of the user is copied, not handed over.
        let file = home.write("input", "abc");
        let mut command = home.command(["plugin", "run", "script", "go"]);
        command.stdin(std::fs::OpenOptions::new().read(true).write(true).open(&file).unwrap());
        assert_eq!(Done::of(&mut command).ends(0).out, "3 294\n");
    });
}

#[test]
fn what_is_piped_in_is_no_handle_on_the_callers_own() {
    everybody(|user| {
        let text = "my $how = -p STDIN ? 'a pipe' : 'something else'; print \"$how\\n\"; open(my $again, '+<', '/proc/self/fd/0') and print \"opened\\n\"; \
            seek(STDIN, 0, 0) and print \"moved\\n\"; syswrite(STDIN, 'x') and print \"written\\n\";";
        let script = Script::new("script")
            .file("look.pl", text)
            .command(&json!({"name": "go", "stdin": true, "handler": perl("look.pl", "argv")}));
        let home = script.installed(Home::of(user));
        let file = home.write("input", "abc");
        let mut command = home.command(["plugin", "run", "script", "go"]);
        command.stdin(std::fs::OpenOptions::new().read(true).write(true).open(&file).unwrap());
        assert_eq!(Done::of(&mut command).ends(0).out, "a pipe\n");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "abc");
    });
}

/// Asks for whatever its arguments say, one JSON text each, and prints the answers.
const ASKING: &str = r#"
use strict; use JSON::PP;
open(my $in, "<&=", 3); open(my $out, ">&=", 4); $out->autoflush(1);
my ($json, $text) = (JSON::PP->new->utf8, JSON::PP->new->canonical);
while (my $line = <$in>) {
  my $ask = $json->decode($line); my $n = $ask->{call}; my @said = $text->encode($ask->{plugin_config});
  for my $wanted (@{$ask->{invocation}{args}}) {
    print $out $json->encode({call => $n, ask => $text->decode($wanted)}), "\n";
    next if $wanted =~ /"log"/;
    my $answer = $json->decode(scalar <$in>); die unless delete($answer->{call}) == $n;
    push @said, $text->encode($answer);
  }
  print $out $json->encode({call => $n, answer => {output => join("\n", @said)}}), "\n";
}
"#;

#[test]
fn lines_of_json_ask_the_host() {
    everybody(|user| {
        let script = Script::new("script")
            .file("ask.pl", ASKING)
            .config("key", &json!("value"))
            .asking(&["exec=cat"])
            .command(&json!({"name": "go", "handler": perl("ask.pl", "json")}));
        let home = script.installed(Home::of(user));
        let go = |asked: &[&str]| home.run([&["plugin", "run", "script", "go"], asked].concat());
        let done = go(&[
            r#"{"service":"log","message":"a line","level":"warn"}"#,
            r#"{"service":"state.get","key":"k"}"#,
            r#"{"service":"state.put","key":"k","value":"v \u00e9"}"#,
            r#"{"service":"state.get","key":"k"}"#,
            r#"{"service":"state.keys"}"#,
            r#"{"service":"state.delete","key":"k"}"#,
            r#"{"service":"state.keys"}"#,
            r#"{"service":"exec","program":"cat","stdin":"piped"}"#,
        ]);
        let said = "{\"key\":\"value\"}\n{\"answer\":null}\n{\"answer\":null}\n{\"answer\":\"v \u{e9}\"}\n{\"answer\":[\"k\"]}\n{\"answer\":null}\n\
            {\"answer\":[]}\n{\"answer\":{\"exit_code\":0,\"stderr\":\"\",\"stdout\":\"piped\"}}\n";
        assert_eq!(done.ends(0).out, said, "{done:?}");
        done.says(&["[script] warning: a line"]);
        for (asked, kind) in [
            (r#"{"service":"exec","program":"ls"}"#, "permission_denied"),
            (r#"{"service":"variables"}"#, "permission_denied"),
            (r#"{"service":"connect","endpoint":"localhost:1"}"#, "permission_denied"),
            (r#"{"service":"exec","program":"cat","shell":true}"#, "invalid"),
        ] {
            let done = go(&[asked]);
            assert!(done.ends(0).out.contains(&format!("\"kind\":\"{kind}\"")), "{asked}: {done:?}");
        }
        for asked in [r#"{"service":"stdin"}"#, r#"{"service":"state.get"}"#, r#"{"key":"k"}"#] {
            go(&[asked]).ends(5).says(&["error[protocol_error]"]);
        }
        // Its requests are counted like anybody's.
        let flood = "use JSON::PP; open(my $in, '<&=', 3); open(my $out, '>&=', 4); <$in> =~ /(\\d+)/;\n\
            print $out qq({\"call\":$1,\"ask\":{\"service\":\"log\",\"message\":\"@{['x' x 1000]}\",\"level\":\"debug\"}}\\n) while 1;";
        let script =
            Script::new("script").file("f.pl", flood).command(&json!({"name": "go", "handler": perl("f.pl", "json")}));
        let home = script.installed(Home::of(user));
        home.run(["plugin", "run", "script", "go"]).ends(5).says(&["logged more than 1024 KiB"]);
    });
}

/// The same in frames.
const FRAMES: &str = r#"
use strict; use JSON::PP;
open(my $in, "<&=", 3); open(my $out, ">&=", 4); binmode $_ for $in, $out; $out->autoflush(1);
sub take { my $n = shift; my $b = ''; while (length $b < $n) { exit 0 unless sysread($in, $b, $n - length $b, length $b) } $b }
sub frame { my ($kind, $extra, $call, $body, $raw) = unpack 'vvVVV', take(16); ($kind, $extra, $call, take($body), take($raw)) }
sub say_ { my ($kind, $extra, $call, $body) = @_; syswrite $out, pack('vvVVV', $kind, $extra, $call, length $body, 0) . $body }
sub ask { my ($call, $name, $body) = @_; say_(21, length $name, $call, $name . $body); my @f = frame(); ($f[0], $f[3]) }
my $config;
while (1) {
  my ($kind, $extra, $call, $body, $raw) = frame();
  if ($kind == 1) { $config = decode_json($body)->{config}; say_(17, 0, $call, '{"api_version":"1.0"}') }
  elsif ($kind == 2) { say_(19, 0, $call, encode_json({success => JSON::PP::true, message => "$extra $raw $config->{key}"})) }
  elsif ($kind == 3) {
    say_(24, 0, $call, '{"level":"warn","message":"a line"}');
    my ($k, $answer) = ask($call, 'state.put', "k\0v"); my ($g, $value) = ask($call, 'state.get', 'k');
    my ($r, $refusal) = ask($call, 'exec', '{"program":"ls"}');
    my (undef, $read) = ask($call, 'stdin', '100');
    say_(22, 0, $call, "$k $g " . substr($value, 1) . " $r " . decode_json($refusal)->{kind} . " $read\n");
    say_(decode_json($body)->{args}[0] ? (20, 0, $call, '{"kind":"failed","message":"no way"}') : (19, 0, $call, ''));
  }
  elsif ($kind == 4) { say_(19, 0, $call, ''); exit 0 }
}
"#;

#[test]
fn a_program_speaks_frames() {
    everybody(|user| {
        let script = Script::new("script")
            .file("frames.pl", FRAMES)
            .config("key", &json!("value"))
            .hook(&json!({"event": "post-command", "handler": perl("frames.pl", "frames")}))
            .command(&json!({"name": "go", "stdin": true, "handler": perl("frames.pl", "frames")}));
        let home = script.installed(Home::of(user));
        home.write("w.yaml", "name: w\nsteps: [{name: s, command: echo out}]");
        let report = home.json(&["run", "./w.yaml"]);
        assert_eq!(report["hooks"][0]["message"], "0 out\n value", "{report}");
        let done = fed(&home, &["go"], b"input");
        assert_eq!(done.ends(0).out, "5 5 v 6 permission_denied input\n", "{done:?}");
        done.says(&["[script] warning: a line"]);
        fed(&home, &["go", "fail"], b"").ends(5).says(&["error[plugin_failed]", "no way"]);
    });
}

/// Claims the caller's streams whenever no command runs.
const CLAIMS: &str = r#"
open(my $in, "<&=", 3); open(my $out, ">&=", 4); binmode $_ for $in, $out; $out->autoflush(1);
sub take { my $n = shift; my $b = ''; while (length $b < $n) { exit 0 unless sysread($in, $b, $n - length $b, length $b) } $b }
sub say_ { my ($kind, $call, $body) = @_; syswrite $out, pack('vvVVV', $kind, 0, $call, length $body, 0) . $body }
my %answers = (1 => [17, '{"api_version":"1.0"}'], 2 => [19, '{"success":true}'], 3 => [19, ''], 4 => [19, '']);
while (1) {
  my ($kind, $extra, $call, $body, $raw) = unpack 'vvVVV', take(16); take($body + $raw);
  if ($kind != 3) { say_(22, $call, "claimed out $kind\n"); say_(23, $call, "claimed err $kind\n") }
  else { say_(22, $call, "printed\n"); say_(22, $call - 1, "claimed late\n") }
  say_($answers{$kind}[0], $call, $answers{$kind}[1]);
  exit 0 if $kind == 4;
}
"#;

#[test]
fn only_a_command_has_the_streams_of_its_caller() {
    everybody(|user| {
        let script = Script::new("script")
            .file("claims.pl", CLAIMS)
            .hook(&json!({"event": "post-command", "handler": perl("claims.pl", "frames")}))
            .command(&json!({"name": "go", "handler": perl("claims.pl", "frames")}));
        let home = script.installed(Home::of(user));
        home.write("w.yaml", "name: w\nsteps: [{name: s, command: echo out}]");
        let done = home.run(["run", "./w.yaml"]);
        assert!(!done.ends(0).out.contains("claimed"), "{done:?}");
        for kind in [1, 2, 4] {
            done.says(&[&format!("[script] claimed out {kind}\n"), &format!("[script] claimed err {kind}\n")]);
        }
        let done = home.run(["plugin", "run", "script", "go"]);
        assert_eq!(done.ends(0).out, "printed\n", "{done:?}");
        done.says(&["[script] claimed late\n"]);
    });
}

#[test]
fn a_program_that_speaks_lines_is_connected() {
    everybody(|user| {
        let home = Home::of(user);
        let path = home.work().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        user.give(&path);
        let endpoint = format!("unix:{}", path.canonicalize().unwrap().display());
        let text = "import json, os, socket, sys\n\
            for line in os.fdopen(3):\n    \
                call = json.loads(line)['call']\n    \
                ask = {'call': call, 'ask': {'service': 'connect', 'endpoint': json.loads(line)['plugin_config']['endpoint']}}\n    \
                os.write(4, json.dumps(ask).encode() + b'\\n')\n    \
                with socket.socket(fileno=os.dup(7)) as passed:\n        _, found, _, _ = socket.recv_fds(passed, 1, 1)\n    \
                stream = socket.socket(fileno=found[0])\n    answer = json.loads(os.read(3, 1000))\n    \
                said = stream.recv(100).decode()\n    \
                os.write(4, json.dumps({'call': call, 'answer': {'output': said + str(answer['answer'])}}).encode() + b'\\n')\n";
        let handler = json!({"type": "executable", "program": "c.py", "interpreter": "python3", "protocol": "json"});
        let script = Script::new("script")
            .file("c.py", text)
            .config("endpoint", &json!(endpoint))
            .asking(&[&format!("network={endpoint}")])
            .command(&json!({"name": "go", "handler": handler}));
        script.install(&home);
        let server = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello ").unwrap());
        let done = home.ok(&["plugin", "run", "script", "go"]);
        assert_eq!(done.out, "hello None\n", "{done:?}");
        server.join().unwrap();
    });
}

#[test]
fn a_handler_that_cannot_read_input_is_refused() {
    let home = Home::new();
    for handler in [json!({"type": "bash", "script": "cat"}), perl("p.pl", "json")] {
        let manifest =
            json!({"name": "p", "version": "1.0.0", "commands": [{"name": "go", "stdin": true, "handler": handler}]});
        home.write("p/plugin.json", &manifest.to_string());
        home.write("p/p.pl", "1;");
        let done = home.run(["plugin", "install", "./p", "--allow-unsigned", "--yes"]);
        assert_ne!(done.code, 0);
        done.says(&["`stdin` is for Python functions and for programs with `protocol: argv` or `frames`"]);
    }
}
