//! TLS through the proxy, to a real server with a certificate of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Ran, serve};

/// A server of openssl that shows a page about the connection; ends when it is dropped.
struct Secure {
    server: Child,
    port: String,
    certificate: PathBuf,
}

impl Secure {
    fn start(folder: &Path) -> Self {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
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
        let port = lines.find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned)).unwrap();
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

#[test]
fn tls_goes_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let secure = Secure::start(folder.path());
    let endpoint = format!("localhost:{}", secure.port);
    let certificate = secure.certificate.to_str().unwrap();
    let served = serve(&[&endpoint]);
    let url = format!("https://{endpoint}/");
    assert!(served.curl(&["--cacert", certificate, &url]).worked().contains("s_server -accept"));
    let through = format!("socks5h://{}", served.at);
    assert!(served.curl(&["-x", &through, "--cacert", certificate, &url]).worked().contains("s_server -accept"));
    let script = "import sys, ssl, urllib.request as r\n\
                  context = ssl.create_default_context(cafile=sys.argv[2])\n\
                  print(r.urlopen(sys.argv[1], context=context, timeout=20).read().decode())";
    let said = Ran::of(served.client("python3").args(["-c", script, &url, certificate])).worked();
    assert!(said.contains("s_server -accept"), "{said}");
    served.records.hold(&format!("connected to `{endpoint}` through the proxy"));
    // The proxy has no certificate that could stand for the server's.
    served.curl(&[&url]).failed(&["certificate"]);
}
