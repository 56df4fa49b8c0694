//! Listed attacks on downloads, and by names. Each is made as root and as a plain user, and works on a client, or with a
//! command, that does not look.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{plugin, typed};
use migraine_tests::server::{Identity, Server, head};

use super::dependencies::{needing, put};
use super::fetch::{AUTHORITY, Site, demo, each_user, run};

/// A client that takes what comes, for some seconds at most: how many bytes there were after the head.
const NAIVE: &str = "import socket, ssl, sys, time\n\
                     context = ssl.create_default_context(cafile=sys.argv[2])\n\
                     stream = socket.create_connection(('localhost', int(sys.argv[1])), timeout=2)\n\
                     stream = context.wrap_socket(stream, server_hostname='localhost', suppress_ragged_eofs=True)\n\
                     stream.sendall(b'GET /demo.mgp HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')\n\
                     taken, until = b'', time.time() + float(sys.argv[3])\n\
                     try:\n\
                     \x20   while time.time() < until and len(taken) < 12 << 20:\n\
                     \x20       piece = stream.recv(1 << 20)\n\
                     \x20       if not piece: break\n\
                     \x20       taken += piece\n\
                     except TimeoutError: pass\n\
                     print(len(taken.split(b'\\r\\n\\r\\n', 1)[1]), time.time() >= until)";

/// How many bytes a client takes that does not look, and whether it would have taken more.
fn naive(server: &Server, seconds: &str) -> (usize, bool) {
    let port = server.port().to_string();
    let output = Command::new("python3").args(["-c", NAIVE, &port]).arg(AUTHORITY.certificate()).arg(seconds).output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (taken, more) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{:?}", output.stderr));
    (taken.parse().unwrap(), more == "True")
}

fn server(answer: impl Fn(&mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static) -> Server {
    Server::start(&AUTHORITY.identity("DNS:localhost"), move |_, out| answer(out))
}

/// What an installation from a server ends with, which changes nothing.
fn install(site: &Site, url: &str, more: &[&str]) -> String {
    let before = site.snapshot();
    let word = site.word(&[&["plugin", "install", "--yes", url], more].concat());
    assert!(word == "works" || site.snapshot() == before, "{word} changed something");
    word
}

#[test]
fn a162_the_size_is_the_announced_one() {
    each_user(|site| {
        let package = fs::read(demo("demo", "1.0.0").package()).unwrap();
        let announced = |length: usize, package: Vec<u8>| {
            server(move |out| {
                head(out, "200 OK", &[("Content-Length", &length.to_string())])?;
                out.write_all(&package)
            })
        };
        // The control: as it is, it is a plugin.
        let honest = announced(package.len(), package.clone());
        assert_eq!(install(site, &honest.url("/demo.mgp"), &["--dry-run"]), "works");
        let longer = announced(package.len(), [&package[..], b"more"].concat());
        assert_eq!(install(site, &longer.url("/demo.mgp"), &[]), "size");
        assert_eq!(naive(&longer, "10").0, package.len() + 4);
        let shorter = announced(package.len() + 1, package.clone());
        assert_eq!(install(site, &shorter.url("/demo.mgp"), &[]), "size");
        assert_eq!(naive(&shorter, "10").0, package.len());
        let endless = server(|out| {
            head(out, "200 OK", &[("Transfer-Encoding", "chunked")])?;
            loop {
                out.write_all(b"10000\r\n")?;
                out.write_all(&[b'x'; 0x10000])?;
                out.write_all(b"\r\n")?;
            }
        });
        assert_eq!(install(site, &endless.url("/demo.mgp"), &[]), "size");
        assert!(naive(&endless, "30").0 > 10 << 20, "more than a plugin may have");
        let huge = announced(1 << 40, package.clone());
        assert_eq!(install(site, &huge.url("/demo.mgp"), &[]), "size");
        let gzip = Command::new("sh").args(["-c", "head -c 30000000 /dev/zero | gzip"]).output().unwrap().stdout;
        let bomb = server(move |out| {
            head(out, "200 OK", &[("Content-Encoding", "gzip"), ("Content-Length", &gzip.len().to_string())])?;
            out.write_all(&gzip)
        });
        assert_eq!(install(site, &bomb.url("/demo.mgp"), &[]), "size");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--compressed", "--cacert"]).arg(AUTHORITY.certificate()).arg(bomb.url("/demo.mgp"));
        assert_eq!(curl.output().unwrap().stdout.len(), 30_000_000);
    });
}

#[test]
fn a163_a_byte_now_and_then_has_an_end() {
    each_user(|site| {
        let slow = server(|out| {
            head(out, "200 OK", &[("Content-Length", "1000")])?;
            loop {
                out.write_all(b"x")?;
                out.flush()?;
                sleep(Duration::from_millis(200));
            }
        });
        assert_eq!(install(site, &slow.url("/demo.mgp"), &["--timeout", "1"]), "timeout");
        // Whoever waits for silence alone waits on.
        assert!(naive(&slow, "2").1);
        let mute = server(|_| {
            sleep(Duration::from_secs(60));
            Ok(())
        });
        assert_eq!(install(site, &mute.url("/demo.mgp"), &["--timeout", "1"]), "timeout");
    });
}

#[test]
fn a165_a_digest_has_one_form() {
    each_user(|site| {
        let parcel = demo("demo", "1.0.0");
        let (url, package) = (site.put("/demo.mgp", &parcel), parcel.package());
        let hex = migraine_host::ids::Digest::of(&fs::read(&package).unwrap()).to_string();
        for source in [&url, typed(&package)] {
            for bad in [
                format!("md5:{}", &hex[..32]),
                format!("sha512:{hex}{hex}"),
                format!("sha256:{}", hex.to_uppercase()),
                format!("SHA256:{hex}"),
                hex.clone(),
                "sha256:../../x".to_owned(),
            ] {
                assert_eq!(install(site, source, &["--expect-digest", &bad]), "digest_format", "{bad}");
            }
        }
        assert!(site.asked().is_empty(), "it is read before anything is fetched");
        assert_eq!(install(site, &url, &["--expect-digest", &format!("sha256:{hex}")]), "works");
    });
}

#[test]
fn a168_what_is_asked_for_is_what_comes() {
    each_user(|site| {
        let bar = demo("bar", "1.0.0");
        let url = site.put("/foo.mgp", &bar);
        assert_eq!(install(site, &url, &["--name", "foo"]), "name_mismatch");
        assert_eq!(install(site, typed(&bar.package()), &["--name", "foo"]), "name_mismatch");
        // By its name alone, from the plugins folder, in each form that a file there can have.
        for place in ["foo.mgp", "foo-1.0.0.mgp", "foo/plugin.mgp"] {
            let path = site.keep(&format!("plugins/{place}"), &fs::read(bar.package()).unwrap());
            assert_eq!(install(site, "foo", &[]), "name_mismatch", "{place}");
            fs::remove_file(&path).unwrap();
        }
        // Whoever does not say what is wanted gets what is there.
        assert_eq!(install(site, &url, &[]), "works");
    });
}

#[test]
fn a169_a_name_is_not_taken_for_another() {
    each_user(|site| {
        let url = site.put("/docker-manager.mgp", &demo("docker-manager", "1.0.0"));
        assert_eq!(install(site, &url, &[]), "works");
        for name in ["dockermanager", "docker-manger", "docker-managers", "d0cker-manager"] {
            let parcel = demo(name, "1.0.0");
            let url = site.put("/near.mgp", &parcel);
            for source in [url.as_str(), parcel.typed()] {
                assert_eq!(install(site, source, &[]), "name_lookalike", "{name}");
                assert_eq!(install(site, source, &["--yes-i-mean", "docker-manager"]), "name_lookalike", "{name}");
            }
            let done = site.run(&["plugin", "install", &url]);
            done.ends(6).says(&["could be taken for `docker-manager`", &format!("add `--yes-i-mean {name}`")]);
            assert_eq!(install(site, &url, &["--dry-run", "--yes-i-mean", name]), "works");
        }
        // Neither can be the name of a plugin; the second has a Cyrillic letter.
        assert_eq!(install(site, "docker_manager", &[]), "file_not_found");
        site.run(&["plugin", "install", "docker_manager"]).ends(2).says(&["if you mean `docker-manager`, write it so"]);
        assert_eq!(install(site, "d\u{43e}cker-manager", &[]), "name_lookalike");
        // The same name again is no other one, and neither is one that is far from it.
        assert_eq!(install(site, &url, &[]), "works");
        assert_eq!(install(site, &site.put("/logs.mgp", &demo("docker-logs", "1.0.0")), &[]), "works");
    });
}

// covers: A169
#[test]
fn a169_nor_where_others_wrote_the_name() {
    let near = demo("dockermanager", "1.0.0");
    let app = needing("app", "1.0.0", &["plugin:dockermanager ^1"]);
    let author = Home::new();
    author.install(&near);
    author.install(&app);
    author.ok(&["plugin", "lock"]);
    author.ok(&["plugin", "bundle", "site.bundle"]);
    let [lock, bundle] = ["migraine.lock", "site.bundle"].map(|file| fs::read(author.work().join(file)).unwrap());
    for &user in users() {
        let home = Home::of(user);
        home.install(&demo("docker-manager", "1.0.0"));
        home.write_bytes("migraine.lock", &lock);
        home.write_bytes("site.bundle", &bundle);
        let near = put(&home, "from", &near, "1.0.0");
        put(&home, "from", &app, "1.0.0");
        // A link leads to one's own files.
        home.own(&near);
        let before = home.snapshot();
        for line in [
            &["plugin", "install", "--bundle", "site.bundle", "--yes"][..],
            &["plugin", "install", "dockermanager", "--bundle", "site.bundle", "--yes"],
            &["plugin", "install", "--locked", "--from", "from", "--yes"],
            &["plugin", "install", "from/app-1.0.0.so", "--yes"],
            &["plugin", "install", "from/app-1.0.0.so", "--yes", "--yes-i-mean", "app"],
            &["plugin", "link", typed(&near), "--yes"],
            &["plugin", "link", typed(&near), "--yes", "--yes-i-mean", "docker-manager"],
        ] {
            home.refused(line, "name_lookalike");
        }
        assert_eq!(home.snapshot(), before);
        home.ok(&["plugin", "link", typed(&near), "--yes", "--yes-i-mean", "dockermanager"]);
        home.ok(&["plugin", "unlink", "dockermanager"]);
        let meant = ["--yes-i-mean", "dockermanager", "--no-lock"];
        home.ok(&[&["plugin", "install", "from/app-1.0.0.so", "--yes"][..], &meant].concat());
        // What is there is known.
        home.ok(&["plugin", "install", "--bundle", "site.bundle", "--yes"]);
    }
}

#[test]
fn a172_a_server_proves_who_it_is() {
    each_user(|site| {
        let package = fs::read(demo("demo", "1.0.0").package()).unwrap();
        site.files.put("/demo.mgp", package.clone());
        let serving = |identity: &Identity| {
            let files = site.files.clone();
            Server::start(identity, move |request, out| files.answer(request, out))
        };
        for (identity, why) in [
            (AUTHORITY.self_signed("DNS:localhost"), "certificate"),
            (AUTHORITY.expired("DNS:localhost"), "its certificate has expired"),
            (AUTHORITY.identity("DNS:other.example"), "its certificate is for another host"),
            (migraine_tests::server::Authority::new().identity("DNS:localhost"), "nobody whom this machine trusts"),
        ] {
            let server = serving(&identity);
            let url = server.url("/demo.mgp");
            assert_eq!(install(site, &url, &[]), "tls", "{why}");
            site.run(&["plugin", "install", &url]).ends(6).says(&[why]);
            assert!(server.asked().is_empty(), "nothing was asked of it");
            // A client that is told not to look.
            let curl = Command::new("curl").args(["-sS", "--insecure", &url]).output().unwrap();
            assert_eq!(curl.stdout, package);
        }
        for url in ["http://192.0.2.1/demo.mgp", "http://example.com/demo.mgp", "http://localhost.example/demo.mgp"] {
            assert_eq!(install(site, url, &[]), "tls", "{url}");
        }
        let files = site.files.clone();
        let plain = Server::plain(move |request, out| files.answer(request, out));
        assert_eq!(install(site, &plain.url("/demo.mgp"), &[]), "works");
    });
}

#[test]
fn an_attack_by_name_is_one_on_a_plain_library_too() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    let parcel = demo("hello-worlds", "1.0.0");
    run(&home, &["plugin", "install", parcel.typed()]).ends(6).says(&["error[name_lookalike]"]);
}
