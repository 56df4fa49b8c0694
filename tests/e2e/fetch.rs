//! Plugins are fetched from servers: over encrypted connections alone, whole or not at all, and signed in any case.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::package::{Parcel, manifest, other_key, tiny, typed};
use migraine_tests::run::{User, is_running};
use migraine_tests::server::{Authority, Files, Server, head};
use migraine_tests::terminal::converse;
use serde_json::{Value, json};

/// Whom the tests' homes trust to vouch for servers.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// A home, and a server with files.
pub(crate) struct Site {
    pub(crate) home: Home,
    pub(crate) files: Files,
    pub(crate) server: Server,
    user: User,
}

impl Site {
    pub(crate) fn of(user: User) -> Self {
        let files = Files::default();
        let answers = files.clone();
        let identity = AUTHORITY.identity("DNS:localhost");
        let server = Server::start(&identity, move |request, out| answers.answer(request, out));
        Self { home: Home::of(user), files, server, user }
    }

    /// Puts a package on the server and gives its address.
    pub(crate) fn put(&self, path: &str, parcel: &Parcel) -> String {
        self.files.put(path, fs::read(parcel.package()).unwrap());
        self.server.url(path)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        run(&self.home, args)
    }

    /// What a run with JSON ended with.
    pub(crate) fn word(&self, args: &[&str]) -> String {
        self.run(&[&["--format", "json"], args].concat()).word()
    }

    fn json(&self, args: &[&str]) -> Value {
        let done = self.run(&[&["--format", "json"], args].concat());
        serde_json::from_str(&done.ends(0).out).unwrap()
    }

    /// Everything in the home directory but parts of downloads.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = self.home.snapshot();
        found.retain(|path, _| !path.ends_with("downloads"));
        found
    }

    /// Writes a file in the home directory.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.ancestors().take_while(|made| *made != self.home.path()).for_each(|made| self.user.give(made));
        path
    }

    /// The paths that the server was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.server.asked().into_iter().map(|request| request.path).collect()
    }
}

/// The product, which trusts the tests' authority.
pub(crate) fn run(home: &Home, args: &[&str]) -> Done {
    Done::of(home.command(args).env("SSL_CERT_FILE", AUTHORITY.certificate()))
}

/// A plugin of a few kilobytes.
pub(crate) fn demo(name: &str, version: &str) -> Parcel {
    let mut manifest = manifest(name, &json!({"commands": ["go"]}));
    manifest["version"] = json!(version);
    tiny(&manifest)
}

/// Runs a test for every user of this machine.
pub(crate) fn each_user(test: impl Fn(&Site)) {
    kernel::users().iter().for_each(|&user| test(&Site::of(user)));
}

fn parts(home: &Home) -> usize {
    fs::read_dir(home.path().join("downloads")).map_or(0, Iterator::count)
}

// covers: S281, S92
#[test]
fn a_plugin_is_installed_from_a_server_and_says_so() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let done = site.run(&["plugin", "install", &url]);
        done.ends(0).says(&["Plugin 'demo' installed successfully", &format!("from       {url}\n")]);
        assert_eq!((site.asked(), parts(&site.home)), (vec!["/demo.mgp".to_owned()], 0));
        let info = site.home.json(&["plugin", "info", "demo"]);
        assert_eq!((&info["url"], &info["status"]), (&json!(url), &json!("enabled")));
        site.home.ok(&["plugin", "info", "demo"]).says(&[&format!("from         {url}\n")]);
        // What is learned from is the user's own work, and this is not.
        site.home.run(["plugin", "run", "--learn", "demo", "go"]).ends(6);
    });
}

#[test]
fn a_place_is_tried_with_the_known_name_and_what_was_tried_is_said() {
    each_user(|site| {
        let parcel = demo("demo", "1.0.0");
        site.put("/user/demo/plugin.mgp", &parcel);
        site.put("/get", &parcel);
        for place in ["/user/demo", "/user/demo/", "/get?id=7"] {
            site.run(&["plugin", "install", &site.server.url(place)]).ends(0);
        }
        let place = "/user/demo/plugin.mgp";
        assert_eq!(site.asked(), [place, place, "/get/plugin.mgp?id=7", "/get?id=7"]);
        let (place, named) = (site.server.url("/nothing"), site.server.url("/nothing.mgp"));
        let done = site.run(&["plugin", "install", &place]);
        done.ends(2).says(&["error[file_not_found]: there is no package there; tried:"]);
        done.says(&[&format!(
            "      {place}/plugin.mgp: there is no such file\n      {place}: there is no such file\n"
        )]);
        site.run(&["plugin", "install", &named]).ends(2).says(&[&format!("tried:\n      {named}: ")]);
        let page = Server::start(&AUTHORITY.identity("DNS:localhost"), |request, out| {
            if request.path.ends_with(".mgp") {
                return head(out, "404 Not Found", &[]);
            }
            head(out, "200 OK", &[("Content-Type", "text/html"), ("Content-Length", "6")])?;
            out.write_all(b"<html>")
        });
        let done = site.run(&["plugin", "install", &page.url("/user/demo")]);
        done.ends(2).says(&[&format!("  {}: a page for people\n", page.url("/user/demo"))]);
    });
}

#[test]
fn a_name_is_never_looked_up_on_the_network() {
    each_user(|site| {
        let done = site.run(&["plugin", "install", "nobody"]);
        done.ends(2).says(&[
            "there is no file and no plugin `nobody`; looked in:",
            "never looked up on the network",
            "https://HOST/PATH/nobody.mgp",
        ]);
        assert_eq!(site.word(&["plugin", "install", "git+ssh://localhost/demo"]), "value_invalid");
        assert_eq!(site.word(&["plugin", "install", &site.server.url("/demo.mgp#sha256=0")]), "value_invalid");
        assert!(site.asked().is_empty());
    });
}

#[test]
fn a_folder_gives_the_newest_of_a_name() {
    let home = Home::new();
    let folder = home.path().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    for (version, file) in [("1.0.0", "a.mgp"), ("1.10.0", "b.mgp"), ("1.9.0", "c.mgp")] {
        fs::copy(demo("demo", version).package(), folder.join(file)).unwrap();
    }
    home.ok(&["plugin", "install", "demo"]).says(&["version    1.10.0"]);
}

#[test]
fn redirections_are_followed_and_shown() {
    each_user(|site| {
        let url = site.put("/there/demo.mgp", &demo("demo", "1.0.0"));
        let leading = |place: String| {
            Server::start(&AUTHORITY.identity("DNS:localhost"), move |_, out| {
                head(out, "302 Found", &[("Location", &place), ("Content-Length", "0")])
            })
        };
        let first = leading(format!("{url}?token=secret"));
        let done = site.run(&["plugin", "install", &first.url("/demo.mgp")]);
        done.ends(0).says(&[&format!("the server leads to {url}?token=...\n")]).never_says(&["secret"]);
        // It stays what was asked for: the other place may be another one tomorrow.
        assert_eq!(site.home.json(&["plugin", "info", "demo"])["url"], first.url("/demo.mgp"));
        let quiet = site.run(&["plugin", "install", "--quiet", &first.url("/demo.mgp")]);
        quiet.ends(0).never_says(&["leads to"]);
        let round = Server::start(&AUTHORITY.identity("DNS:localhost"), |_, out| {
            head(out, "307 Temporary Redirect", &[("Location", "/demo.mgp")])
        });
        let done = site.run(&["plugin", "install", &round.url("/demo.mgp")]);
        done.ends(1).says(&["error[download_failed]", "more than 5 times"]);
        assert_eq!(round.asked().len(), 6);
        let plain = leading("http://127.0.0.1:9/demo.mgp".to_owned());
        assert_eq!(site.word(&["plugin", "install", &plain.url("/demo.mgp")]), "tls");
    });
}

#[test]
fn names_and_passwords_reach_the_server_and_nothing_else() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let secret = url.replace("https://", "https://ann:s3cret@");
        site.run(&["plugin", "install", &secret]).ends(0).never_says(&["s3cret"]);
        // Of `ann:s3cret`.
        assert_eq!(site.server.asked()[0].header("authorization"), Some("Basic YW5uOnMzY3JldA=="));
        for (_, (_, bytes)) in site.home.snapshot() {
            assert!(!bytes.windows(6).any(|window| window == b"s3cret"));
        }
        let refused = Server::start(&AUTHORITY.identity("DNS:localhost"), |_, out| head(out, "401 Unauthorized", &[]));
        let url = refused.url("/demo.mgp").replace("https://", "https://ann:s3cret@");
        let done = site.run(&["plugin", "install", &url]);
        done.ends(1).says(&["the server answers 401: it wants a name and a password"]).never_says(&["s3cret"]);
    });
}

// covers: S72
#[test]
fn a_proxy_of_the_environment_or_the_policy_is_used() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let port = site.server.port();
        let proxy = Server::plain(move |request, out| {
            assert_eq!(request.path, format!("localhost:{port}"));
            head(out, "403 Forbidden", &[])
        });
        let address = format!("http://ann:s3cret@localhost:{}", proxy.port());
        let by = |variables: &[(&str, &str)]| {
            let mut command = site.home.command(["plugin", "install", &url]);
            Done::of(command.env("SSL_CERT_FILE", AUTHORITY.certificate()).envs(variables.iter().copied()))
        };
        by(&[("HTTPS_PROXY", &address)]).ends(1).says(&["by the proxy: ", "403"]).never_says(&["s3cret"]);
        let asked = proxy.asked();
        assert_eq!(asked[0].header("proxy-authorization"), Some("Basic YW5uOnMzY3JldA=="));
        assert!(site.asked().is_empty(), "there is no other way");
        by(&[("HTTPS_PROXY", &address), ("NO_PROXY", "localhost")]).ends(0);
        by(&[("HTTP_PROXY", &address)]).ends(0);
        by(&[("HTTPS_PROXY", "socks5://localhost:1")]).ends(1).says(&["it is no HTTP proxy"]);
        assert!(proxy.asked().is_empty());
        site.keep("policy.yaml", format!("proxy: localhost:{}", proxy.port()).as_bytes());
        by(&[("HTTPS_PROXY", "http://localhost:1")]).ends(1).says(&["by the proxy: "]);
        assert_eq!(proxy.asked().len(), 1);
    });
}

#[test]
fn a_tunnel_through_a_proxy_brings_the_file() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let tunnel = tunnel();
        let mut command = site.home.command(["plugin", "install", &url]);
        command.env("SSL_CERT_FILE", AUTHORITY.certificate()).env("https_proxy", format!("localhost:{tunnel}"));
        Done::of(&mut command).ends(0);
        assert_eq!(site.asked(), ["/demo.mgp"]);
    });
}

/// A proxy that connects whom it is asked to; the value is its port.
fn tunnel() -> u16 {
    use std::io::{BufRead as _, BufReader, copy};
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let lines: Vec<String> =
                reader.by_ref().lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
            let place = lines[0].split(' ').nth(1).unwrap().to_owned();
            let server = TcpStream::connect(place).unwrap();
            let (mut client, mut there, mut back) = (client, server.try_clone().unwrap(), server);
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            std::thread::spawn(move || copy(&mut reader, &mut there));
            std::thread::spawn(move || copy(&mut back, &mut client));
        }
    });
    port
}

#[test]
fn an_interrupted_download_goes_on_where_it_ended() {
    each_user(|site| {
        let package = fs::read(demo("demo", "1.0.0").package()).unwrap();
        let half = package.len() / 2;
        let (files, breaks) = (site.files.clone(), AtomicUsize::new(1));
        let server = Server::start(&AUTHORITY.identity("DNS:localhost"), move |request, out| {
            if breaks.swap(0, Ordering::SeqCst) == 0 {
                return files.answer(request, out);
            }
            let mut whole = Vec::new();
            files.answer(request, &mut whole)?;
            out.write_all(&whole[..whole.len() - half])
        });
        site.files.put("/demo.mgp", package.clone());
        let url = server.url("/demo.mgp");
        assert_eq!(site.word(&["plugin", "install", &url]), "size");
        assert_eq!(parts(&site.home), 1);
        site.run(&["plugin", "install", &url]).ends(0);
        assert_eq!(parts(&site.home), 0);
        let asked = server.asked();
        assert_eq!(asked[1].header("range"), Some(format!("bytes={}-", package.len() - half).as_str()));
        // A part that was changed meanwhile makes no plugin: what arrived is verified whole, and fetched anew then.
        let fresh = Site::of(site.user);
        let part = format!("downloads/{}", migraine_host::ids::Digest::of(url.as_bytes()));
        let etag = format!("\"{}\"", migraine_host::ids::Digest::of(&package));
        let head = json!({"etag": etag, "total": package.len()}).to_string();
        fresh.keep(&part, &[head.as_bytes(), b"\n", &vec![7; half]].concat());
        assert_ne!(fresh.run(&["plugin", "install", &url]).code, 0);
        assert!(!fresh.home.path().join("state").exists() && parts(&fresh.home) == 0);
        fresh.run(&["plugin", "install", &url]).ends(0);
    });
}

// covers: A156
#[test]
fn a_signal_ends_a_download_and_keeps_what_came() {
    let site = &Site::of(kernel::users()[0]);
    let package = fs::read(demo("demo", "1.0.0").package()).unwrap();
    site.files.put("/demo.mgp", package);
    let files = site.files.clone();
    let server = Server::start(&AUTHORITY.identity("DNS:localhost"), move |request, out| {
        let mut whole = Vec::new();
        files.answer(request, &mut whole)?;
        out.write_all(&whole[..whole.len() - 10])?;
        out.flush()?;
        sleep(Duration::from_secs(60));
        Ok(())
    });
    let mut command = site.home.product(["plugin", "install", &server.url("/demo.mgp")]);
    command.env("SSL_CERT_FILE", AUTHORITY.certificate()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let filled = || {
        let entries = fs::read_dir(site.home.path().join("downloads")).into_iter().flatten().flatten();
        entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).max().unwrap_or(0) > 200
    };
    while is_running(pid) && !filled() {
        sleep(Duration::from_millis(5));
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(143), "{err}");
    assert!(err.contains("error[interrupted]") && err.contains("the same command goes on from there"), "{err}");
    assert_eq!(parts(&site.home), 1);
}

#[test]
fn a_dry_run_judges_everything_and_changes_nothing() {
    each_user(|site| {
        let parcel = tiny(&manifest("demo", &json!({"commands": ["go"], "permissions": ["task_read"]})));
        let url = site.put("/demo.mgp", &parcel);
        let local = parcel.package();
        let before = site.home.snapshot();
        for source in [&url, typed(&local)] {
            let done = site.run(&["plugin", "install", "--dry-run", "--yes", source]);
            done.ends(0).says(&["Plugin 'demo' would be installed; nothing was changed", "status     enabled"]);
            let report = site.json(&["plugin", "install", "--dry-run", "--yes", source]);
            assert_eq!((&report["dry_run"], &report["status"]), (&json!(true), &json!("enabled")));
            let done = site.run(&["plugin", "install", "--dry-run", source]);
            done.ends(6).says(&["status     installed", "error[consent_required]", "--yes"]);
            assert_eq!(site.home.snapshot(), before);
        }
        let strange = site.put("/strange.mgp", &parcel);
        let forged = fs::read(parcel.package()).unwrap();
        site.files.put("/broken.mgp", forged[..forged.len() / 2].to_vec());
        assert_eq!(site.word(&["plugin", "install", "--dry-run", "--name", "other", &strange]), "name_mismatch");
        assert_eq!(site.word(&["plugin", "install", "--dry-run", &site.server.url("/broken.mgp")]), "package_invalid");
        let foreign = tiny(&manifest("demo", &json!({}))).signed(&other_key());
        assert_eq!(site.word(&["plugin", "install", "--dry-run", foreign.typed()]), "untrusted_key");
        assert_eq!(site.home.snapshot(), before);
    });
}

#[test]
fn an_expected_digest_is_that_of_the_file_or_of_its_index() {
    each_user(|site| {
        let (parcel, other) = (demo("demo", "1.0.0"), demo("demo", "1.0.1"));
        let url = site.put("/demo.mgp", &parcel);
        let file = format!("sha256:{}", migraine_host::ids::Digest::of(&fs::read(parcel.package()).unwrap()));
        let info = site.home.json(&["plugin", "info", typed(&parcel.package())]);
        let index = format!("sha256:{}", info["digest"].as_str().unwrap());
        assert_ne!(file, index);
        let (before, wrong) = (site.snapshot(), site.put("/other.mgp", &other));
        for digest in [&file, &index] {
            for source in [wrong.as_str(), typed(&other.package()), other.typed()] {
                let done = site.run(&["plugin", "install", "--expect-digest", digest, source]);
                done.ends(6).says(&["error[digest_mismatch]", digest]);
            }
        }
        assert_eq!(site.snapshot(), before);
        for digest in [&file, &index] {
            for source in [&url, typed(&parcel.package())] {
                site.run(&["plugin", "install", "--expect-digest", digest, source]).ends(0);
            }
        }
    });
}

/// A package without its signature, which is otherwise of the accepted form.
pub(crate) fn without_signature(package: &[u8]) -> Vec<u8> {
    let mut archive = zstd::decode_all(package).unwrap();
    let size = |at: usize, archive: &[u8]| {
        let digits = std::str::from_utf8(&archive[at + 124..at + 135]).unwrap();
        512 + usize::from_str_radix(digits, 8).unwrap().next_multiple_of(512)
    };
    let first = size(0, &archive);
    assert!(archive[first..].starts_with(b"index.sig\0"));
    archive.drain(first..first + size(first, &archive));
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.set_pledged_src_size(Some(archive.len().try_into().unwrap())).unwrap();
    encoder.write_all(&archive).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn nothing_without_a_signature_comes_from_a_server() {
    each_user(|site| {
        let unsigned = without_signature(&fs::read(demo("demo", "1.0.0").package()).unwrap());
        site.files.put("/demo.mgp", unsigned.clone());
        let (url, file) = (site.server.url("/demo.mgp"), site.home.write("demo.mgp", ""));
        fs::write(&file, &unsigned).unwrap();
        let line = |source: &str| ["plugin", "install", "--yes", "--allow-unsigned", source].map(str::to_owned);
        let word = |source: &str| site.word(&line(source).each_ref().map(String::as_str));
        assert_eq!(word(&url), "signature_missing");
        site.keep("policy.yaml", b"allow_unsigned_dev: true");
        assert_eq!(word(&url), "signature_missing");
        // The same bytes from a file, which an exception is made for; it is none for the server.
        site.run(&line(typed(&file)).each_ref().map(String::as_str)).ends(0);
        assert_eq!(word(&url), "signature_missing");
        site.run(&["plugin", "install", &url]).ends(6).says(&["no flag and no policy allows this from a server"]);
    });
}

#[test]
fn a_key_is_pinned_for_what_comes_from_a_server_as_for_files() {
    each_user(|site| {
        let home = Home::bare();
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let certificate = AUTHORITY.certificate();
        let environment = [("SSL_CERT_FILE", typed(&certificate))];
        let done = converse(&home, &["plugin", "install", &url], &environment, &[("Trust this key for demo?", "y\n")]);
        assert!(done.code == 0 && done.out.contains("Plugin 'demo' installed successfully"), "{done:?}");
        let refused = run(&Home::bare(), &["plugin", "install", &url]);
        refused.ends(6).says(&["error[untrusted_key]"]);
    });
}

#[test]
fn a_bar_is_for_terminals_alone() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let certificate = AUTHORITY.certificate();
        let environment = [("SSL_CERT_FILE", typed(&certificate)), ("TERM", "xterm")];
        let on_terminal = |args: &[&str]| converse(&site.home, args, &environment, &[]).out;
        let bar = format!("{url} [");
        assert!(on_terminal(&["plugin", "install", &url]).contains(&bar));
        assert!(!on_terminal(&["plugin", "install", "--quiet", &url]).contains(&bar));
        assert!(!on_terminal(&["--format", "json", "plugin", "install", &url]).contains(&bar));
        site.run(&["plugin", "install", &url]).never_says(&["["]);
    });
}

#[test]
fn without_certificates_nobody_is_believed() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        let by = |file: &str| {
            let mut command = site.home.command(["plugin", "install", &url]);
            Done::of(command.env("SSL_CERT_FILE", file))
        };
        by("/no/such/file").ends(6).says(&["error[tls]", "no server can prove who it is"]);
        by("/etc/hostname").ends(6).says(&["error[tls]"]);
        // The machine's own do not know the tests' authority.
        site.home.run(["plugin", "install", &url]).ends(6).says(&["error[tls]"]);
    });
}

#[test]
fn an_upgrade_comes_from_the_same_server() {
    each_user(|site| {
        let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
        site.run(&["plugin", "install", &url]).ends(0);
        let current = site.run(&["plugin", "upgrade", "demo"]);
        current.ends(0).says(&["demo 1.0.0 is the newest", &url]);
        // The server is asked whether something changed, and sends nothing.
        let asked = site.server.asked();
        assert!(asked[1].header("if-none-match").is_some_and(|etag| etag.starts_with('"')), "{asked:?}");
        site.run(&["plugin", "outdated"]).ends(0).says(&["No newer version of 1 plugin was found"]);
        site.put("/demo.mgp", &demo("demo", "1.1.0"));
        let outdated = site.json(&["plugin", "outdated"]);
        assert_eq!(
            (&outdated["plugins"][0]["available"], &outdated["plugins"][0]["source"]),
            (&json!("1.1.0"), &json!(url))
        );
        site.run(&["plugin", "upgrade", "--all"])
            .ends(0)
            .says(&["version    1.1.0 (was 1.0.0)", &format!("from       {url}")]);
        // Back to the one before, which is kept: then the server has a newer one again.
        site.home.ok(&["plugin", "rollback", "demo"]);
        site.run(&["plugin", "upgrade", "demo"]).ends(0).says(&["version    1.1.0 (was 1.0.0)"]);
        // What is refused leaves everything as it is.
        let greedy =
            tiny(&manifest("demo", &json!({"version": "2.0.0", "commands": ["go"], "permissions": ["network=a:1"]})));
        site.put("/demo.mgp", &greedy);
        let before = site.snapshot();
        assert_eq!(site.word(&["plugin", "upgrade", "demo"]), "consent_required");
        site.files.put("/demo.mgp", without_signature(&fs::read(demo("demo", "3.0.0").package()).unwrap()));
        assert_eq!(site.word(&["plugin", "upgrade", "demo"]), "signature_missing");
        site.put("/demo.mgp", &demo("other", "3.0.0"));
        assert_eq!(site.word(&["plugin", "upgrade", "demo"]), "name_mismatch");
        site.files.put("/demo.mgp", b"<html>".to_vec());
        assert_eq!(site.word(&["plugin", "upgrade", "demo"]), "format");
        let warnings = site.json(&["plugin", "outdated"])["warnings"].clone();
        assert!(warnings[0]["message"].as_str().unwrap().starts_with("format: "), "{warnings}");
        assert_eq!(site.snapshot(), before);
        // One server that is away keeps no other plugin from its upgrade.
        site.run(&["plugin", "install", &site.put("/second.mgp", &demo("second", "1.0.0"))]).ends(0);
        site.put("/second.mgp", &demo("second", "1.2.0"));
        let done = site.run(&["plugin", "upgrade", "--all"]);
        done.ends(3).says(&["demo stays at 1.1.0: format: ", "Plugin 'second' installed successfully"]);
        assert_eq!(site.home.json(&["plugin", "info", "second"])["version"], "1.2.0");
    });
}
