//! Programs that a plugin runs reach the servers that it was granted, by the proxy that they find in their environment, and
//! no other; and the host's own way there may lead through the user's proxy.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use migraine_tests::home::Home;
use migraine_tests::scripts::Script;
use serde_json::json;

use crate::exec::{Bench, everybody};

/// What urllib reads from an address, by a certificate where one is given.
const URLLIB: &str = "import sys, ssl, urllib.request as r\n\
                      context = ssl.create_default_context(cafile=sys.argv[2]) if sys.argv[2:] else None\n\
                      print(r.urlopen(sys.argv[1], timeout=20, context=context).read().decode(), end='')";

/// A web server that says one thing to everybody; the value is its port.
fn site(says: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let _ = stream.by_ref().lines().map_while(Result::ok).find(String::is_empty);
            let length = says.len();
            let _ = write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{says}");
        }
    });
    port
}

/// A server of openssl that shows a page about each connection; ends when it is dropped.
struct Secure {
    server: Child,
    port: u16,
    certificate: PathBuf,
}

impl Secure {
    /// Keys lie in one folder, the certificate in another.
    fn start(keys: &Path, shown: &Path) -> Self {
        let (certificate, key) = (shown.join("certificate.pem"), keys.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut server = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
            .arg(&certificate)
            .arg("-key")
            .arg(&key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok()).unwrap();
        // Its output is read to the end, else it would wait for a reader.
        std::thread::spawn(move || lines.count());
        Self { server, port, certificate }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

// covers: A49, for programs
#[test]
fn curl_reaches_what_was_granted_and_nothing_else() {
    let (port, other) = (site("found\n"), site("never\n"));
    everybody(|user| {
        let bench = Bench::new(user, &["exec=curl", &format!("network=localhost:{port}")]);
        let curl = |url: &str| bench.run(&["--verbose"], &["curl", "-sS", "--fail-with-body", "--max-time", "20", url]);
        let done = curl(&format!("http://localhost:{port}/page"));
        done.ends(0)
            .says(&["found\nexit 0\n", &format!("host: [reach] connected to `localhost:{port}` through the proxy\n")])
            .says(&[", 1 connections with "]);
        for other in [format!("localhost:{other}"), "other.example:80".to_owned(), format!("127.0.0.1:{port}")] {
            let done = curl(&format!("http://{other}/page"));
            let line = format!("`connect` needs the permission network={other}, which was not granted");
            done.ends(0).never_says(&["never", "found", "exit 0"]).says(&[
                &format!("host: [reach] permission_denied: {line}\n"),
                &format!("permission_denied: {line}\n"),
                &format!(
                    "help: if the plugin's manifest asks for it: migraine plugin enable reach --grant network={other}\n"
                ),
                "exit 22\n",
            ]);
        }
        // There is no other way, and nobody inside can stand in the proxy's place.
        for way in [&["--noproxy", "*"][..], &["-x", "http://127.0.0.1:3129"]] {
            let url = format!("http://127.0.0.1:{port}/");
            let done = bench.exec(&[&["curl", "-sS", "--max-time", "20"], way, &[&url]].concat());
            done.ends(0).says(&["onnect", "exit 7\n"]).never_says(&["found"]);
        }
        // Without the grant there is no network at all.
        let alone = Bench::new(user, &["exec=curl"]);
        let done = alone.exec(&["curl", "-sS", "--max-time", "20", &format!("http://127.0.0.1:{port}/")]);
        done.ends(0).says(&["exit 7\n"]).never_says(&["found"]);
    });
}

// covers: A49, for what a shell starts itself
#[test]
fn a_shells_curl_reaches_what_was_granted_and_nothing_else() {
    let (port, other) = (site("found\n"), site("never\n"));
    let granted = ["exec=curl".to_owned(), "exec=perl".to_owned(), format!("network=localhost:{port}")];
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    let perl = json!({"type": "executable", "program": "go.pl", "interpreter": "perl"});
    let program = "shift; exit(system('curl', '-sS', '--fail-with-body', '--max-time', '20', @ARGV) >> 8)";
    let scripts = [
        Script::bash_command("curl -sS --fail-with-body --max-time 20 \"$@\""),
        Script::new("script").file("go.pl", program).command(&json!({"name": "go", "handler": perl})),
    ];
    everybody(|user| {
        for script in &scripts {
            let home = script.clone().asking(&granted).installed(Home::of(user));
            let curl = |args: &[&str]| home.run([&["--verbose", "plugin", "run", "script", "go", "--"], args].concat());
            // Each call has a proxy of its own.
            for _ in 0..2 {
                let done = curl(&[&format!("http://localhost:{port}/page")]);
                assert_eq!(done.ends(0).out, "found\n", "{done:?}");
                done.says(&[&format!("host: [script] connected to `localhost:{port}` through the proxy\n")])
                    .says(&[", 1 connections with "]);
            }
            let done = curl(&[&format!("http://localhost:{other}/page")]);
            let line = format!("`connect` needs the permission network=localhost:{other}, which was not granted");
            done.never_says(&["never", "found"]);
            done.says(&[
                &format!("host: [script] permission_denied: {line}\n"),
                &format!("permission_denied: {line}\n"),
            ]);
            assert_ne!(done.code, 0);
            // There is no other way.
            for way in [&["--noproxy", "*"][..], &["-x", "http://127.0.0.1:3129"]] {
                let done = curl(&[way, &[&format!("http://127.0.0.1:{port}/")]].concat());
                assert!(done.code != 0 && !done.out.contains("found"), "{done:?}");
            }
        }
        // A warm shell, called again and again.
        let text = format!("curl -sS --max-time 20 http://localhost:{port}/page >&2; printf '{{}}'");
        let home = Script::bash("pre-command", &text).asking(&granted).installed(Home::of(user));
        home.write("w.yaml", "name: w\nsteps: [{name: a, command: 'true'}, {name: b, command: 'true'}]");
        let done = home.run(["run", "./w.yaml"]);
        assert_eq!(done.ends(0).err.matches("[script] found\n").count(), 2, "{done:?}");
        // Python is passed streams of the machine's own network, and so has no socket of its own.
        let text =
            "import subprocess\ndef f(args, context):\n    print(subprocess.run(['curl', '-sS', *args]).returncode)\n";
        let home = Script::python_command(text).asking(&granted).installed(Home::of(user));
        let done = home.run(["plugin", "run", "script", "go", "--", &format!("http://localhost:{port}/page")]);
        done.ends(0).never_says(&["found"]);
    });
}

#[test]
fn pythons_urllib_reaches_what_was_granted_and_nothing_else() {
    let (port, other) = (site("found\n"), site("never\n"));
    everybody(|user| {
        let bench = Bench::new(user, &["exec=python3", &format!("network=localhost:{port}")]);
        let urllib = |url: &str| bench.run(&["--verbose"], &["python3", "-c", URLLIB, url]);
        let done = urllib(&format!("http://localhost:{port}/page"));
        done.ends(0)
            .says(&["found\nexit 0\n", &format!("host: [reach] connected to `localhost:{port}` through the proxy\n")]);
        let done = urllib(&format!("http://localhost:{other}/page"));
        done.ends(0).never_says(&["never"]).says(&[
            &format!("urllib.error.HTTPError: HTTP Error 403: network=localhost:{other} was not granted"),
            &format!("permission_denied: `connect` needs the permission network=localhost:{other}"),
            "exit 1\n",
        ]);
    });
}

#[test]
fn both_speak_tls_from_end_to_end() {
    everybody(|user| {
        let bench = Bench::new(user, &[]);
        let shown = bench.directory("certificates");
        let keys = tempfile::tempdir().unwrap();
        let (secure, other) = (Secure::start(keys.path(), &shown), Secure::start(keys.path(), keys.path()));
        bench.give(&shown);
        let certificate = secure.certificate.to_str().unwrap();
        let (endpoint, directory) =
            (format!("localhost:{}", secure.port), format!("filesystem=read:{}", shown.display()));
        let grants = ["exec=curl", "exec=python3", &format!("network={endpoint}"), &directory];
        let tls = Bench::new(user, &grants);
        let curl = |url: &str| tls.exec(&["curl", "-sS", "--max-time", "20", "--cacert", certificate, url]);
        let urllib = |url: &str| tls.exec(&["python3", "-c", URLLIB, url, certificate]);
        let url = format!("https://{endpoint}/");
        for done in [curl(&url), urllib(&url)] {
            done.ends(0).says(&["s_server -accept", "exit 0\n"]);
        }
        // The proxy has no certificate that could stand for the server's.
        tls.exec(&["curl", "-sS", "--max-time", "20", &url]).ends(0).says(&["certificate", "exit 60\n"]);
        let denied = format!("localhost:{}", other.port);
        let recorded = format!("host: [reach] permission_denied: `connect` needs the permission network={denied}");
        let url = format!("https://{denied}/");
        curl(&url).ends(0).says(&["CONNECT tunnel failed, response 403", &recorded]);
        urllib(&url)
            .ends(0)
            .says(&[&format!("Tunnel connection failed: 403 network={denied} was not granted"), &recorded]);
        fs::remove_dir_all(shown).unwrap();
    });
}
