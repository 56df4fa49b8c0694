//! The plugin on the bench: against a daemon that says what a test lets it say.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use migraine_plugin_api::testing::Bench;
use migraine_plugin_api::{ErrorKind, Manifest, Plugin as _, Timeout};
use serde_json::{Value, json};

use super::*;

/// A request as the daemon saw it: its first line, its headers in lower case, and its body.
struct Asked {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// A bench whose daemon gives these answers, each `(status, body)`, to one request after the other.
fn bench(answers: Vec<(u16, String)>) -> (Bench<DockerManager>, Receiver<Asked>) {
    let (tell, told) = channel();
    let mut answers = answers.into_iter();
    let bench = Bench::new().streams(move |endpoint| {
        assert_eq!(endpoint, "unix:/var/run/docker.sock");
        let (plugins, daemons) = UnixStream::pair()?;
        let (answer, tell) = (answers.next().expect("no more requests than answers"), tell.clone());
        thread::spawn(move || {
            let _ = tell.send(serve(&daemons, answer.0, &answer.1).expect("a request can be read and answered"));
        });
        Ok(plugins.into())
    });
    (bench, told)
}

fn serve(stream: &UnixStream, status: u16, body: &str) -> io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let headers: Vec<String> = lines[1..].iter().map(|line| line.to_lowercase()).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut asked = Asked { line: lines[0].clone(), headers, body: Vec::new() };
    if asked.headers.iter().any(|line| line == "transfer-encoding: chunked") {
        asked.body = read_chunks(&mut reader)?;
    } else {
        asked.body.resize(length.unwrap_or(0), 0);
        reader.read_exact(&mut asked.body)?;
    }
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
    (&mut &*stream).write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
    Ok(asked)
}

fn read_chunks(reader: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

fn granted(bench: Bench<DockerManager>, directory: &Path) -> Bench<DockerManager> {
    bench.grant(format!("filesystem=read:{}", directory.display()).parse().unwrap())
}

// covers: S77, S78, S79, S81, S82, S83, S85, S86, S87, S88
#[test]
fn the_manifest_is_that_of_the_reference() {
    let manifest: Manifest = serde_json::from_str(DockerManager::MANIFEST).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("docker-manager", "1.0.0"));
    assert_eq!(
        (manifest.description.as_str(), manifest.license.as_str()),
        ("Docker container and image management tools", "MIT")
    );
    let commands: Vec<_> =
        manifest.commands.iter().map(|command| (command.name.as_str(), command.description.as_str())).collect();
    assert_eq!(
        commands,
        [
            ("docker-list-containers", "List running Docker containers"),
            ("docker-build-image", "Build Docker image from context"),
            ("docker-deploy", "Deploy container to Docker"),
            ("docker-logs", "Get logs from container"),
        ]
    );
    let asked: Vec<_> = manifest.permissions.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["network=unix:{{config.docker_socket}}", "filesystem=read:*"]);
    assert_eq!(manifest.config["docker_socket"], "/var/run/docker.sock");
    assert_eq!(manifest.config["default_registry"], "docker.io");
    assert_eq!(manifest.dependencies, ["docker", "docker-socket"]);
    let hooks: Vec<_> = manifest.hooks.iter().map(|hook| (hook.event.as_str(), hook.command.as_deref())).collect();
    assert_eq!(hooks, [("workflow:post-deploy", Some("docker-logs --container {{container_name}}"))]);
    // What takes as long as the daemon, a registry or a container takes.
    let limits: Vec<_> = manifest.commands.iter().map(|command| command.timeout).collect();
    assert_eq!(limits, [None, Some(Timeout::None), Some(Timeout::Seconds(600)), Some(Timeout::None)]);
    assert_eq!(manifest.install_requires, ["docker CLI tools", "Docker daemon running"]);
}

#[test]
fn a_wrong_command_line_reaches_no_daemon() {
    let lines: [(&str, &[&str]); 9] = [
        ("docker-list-containers", &["--nothing"]),
        ("docker-build-image", &["--file", "Dockerfile"]),
        ("docker-build-image", &["--tag", "../x"]),
        ("docker-deploy", &["--image", "web"]),
        ("docker-deploy", &["--image", "web", "--port", "0"]),
        ("docker-deploy", &["--image", "web", "--port", "80", "--name", "a/b"]),
        ("docker-logs", &[]),
        ("docker-logs", &["--container", "a?stdout=0"]),
        ("docker-logs", &["--container", "web", "--tail", "-1"]),
    ];
    for (command, args) in lines {
        let (mut bench, _) = bench(vec![]);
        let error = bench.command(command, args).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{command} {args:?}: {error}");
    }
}

#[test]
fn requests_have_the_form_that_the_daemon_takes() {
    let containers = json!([{"Id": "0123456789abcdef", "Image": "web:1", "Status": "Up 1 second", "Names": ["/web"]}]);
    let (mut bench, asked) = bench(vec![(200, containers.to_string())]);
    let text = bench.command("docker-list-containers", &["--all"]).unwrap();
    assert_eq!(text, "CONTAINER ID\tIMAGE\t\tSTATUS\t\tNAMES\n0123456789ab\tweb:1\tUp 1 second\tweb\n");
    let asked = asked.recv().unwrap();
    assert!(asked.line.starts_with("GET /containers/json?all=true"), "{}", asked.line);
    assert!(asked.headers.contains(&"host: docker".to_owned()), "{:?}", asked.headers);
}

#[test]
fn each_stream_of_a_log_stays_its_own() {
    let frame = |stream: u8, text: &str| {
        let size = u8::try_from(text.len()).unwrap();
        String::from_utf8([&[stream, 0, 0, 0, 0, 0, 0, size], text.as_bytes()].concat()).unwrap()
    };
    let log = frame(1, "one\n") + &frame(2, "two\n") + &frame(1, "three");
    let (mut bench, asked) = bench(vec![(200, log)]);
    let out = bench.command("docker-logs", &["--container", "/web", "--tail", "5", "--follow"]).unwrap();
    assert_eq!((out.as_str(), bench.stderr().as_str()), ("one\nthree", "two\n"));
    let line = asked.recv().unwrap().line;
    assert!(line.starts_with("GET /containers/web/logs?"), "{line}");
    for part in ["follow=true", "stdout=true", "stderr=true", "tail=5"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn a_container_that_cannot_start_is_removed_again() {
    let refused = |message: &str| (500, json!({"message": message}).to_string());
    for (message, said) in [
        (
            "driver failed: Bind for 0.0.0.0:8080 failed: port is already allocated",
            "port 8080 of this machine is taken",
        ),
        ("driver failed: listen tcp4 0.0.0.0:8080: bind: address already in use", "port 8080 of this machine is taken"),
        ("OCI runtime create failed: \"/web\": no such file", "cannot start a container of web: OCI runtime"),
    ] {
        let created = json!({"Id": "abc", "Warnings": []}).to_string();
        let (mut bench, asked) =
            bench(vec![(200, "{}".to_owned()), (201, created), refused(message), (204, String::new())]);
        let error = bench.command("docker-deploy", &["--image", "web", "--port", "8080:80"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.message().starts_with(said), "{error}");
        let asked: Vec<Asked> = asked.iter().take(4).collect();
        let body: Value = serde_json::from_slice(&asked[1].body).unwrap();
        assert_eq!(body["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8080", "{body}");
        assert!(asked[3].line.starts_with("DELETE /containers/abc?"), "{}", asked[3].line);
        assert!(asked[3].line.contains("force=true"), "{}", asked[3].line);
    }
}

#[test]
fn an_image_that_is_not_here_is_pulled_from_the_registry_of_the_configuration() {
    let missing = || (404, json!({"message": "No such image"}).to_string());
    let failed = json!({"error": "gone", "errorDetail": {"message": "manifest unknown"}}).to_string() + "\n";
    let (bench, asked) = bench(vec![missing(), missing(), (200, failed)]);
    let mut bench = bench.config("default_registry", "r.example:5000");
    let error = bench.command("docker-deploy", &["--image", "web", "--port", "8080"]).unwrap_err();
    assert_eq!(error.message(), "cannot pull r.example:5000/web:latest: manifest unknown");
    assert_eq!(bench.stderr(), "docker-manager: web is not here; pulling r.example:5000/web:latest\n");
    let lines: Vec<String> = asked.iter().take(3).map(|asked| asked.line).collect();
    assert!(lines[1].starts_with("GET /images/r.example:5000/web:latest/json"), "{lines:?}");
    assert!(lines[2].contains("fromImage=r.example%3A5000%2Fweb%3Alatest"), "{lines:?}");
}

#[test]
fn a_directory_that_is_not_granted_is_named_with_the_grant() {
    let folder = tempfile::tempdir().unwrap();
    let typed = folder.path().to_str().unwrap();
    let (bench, _) = bench(vec![]);
    let mut bench = granted(bench, &folder.path().join("other"));
    let error = bench.command("docker-build-image", &["--tag", "web", typed]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(error.message(), format!("the directory {typed} is not granted"));
    let help = format!("migraine plugin enable docker-manager --grant filesystem=read:{typed} ");
    assert!(error.help().is_some_and(|text| text.starts_with(&help)), "{error:?}");
}

#[test]
fn the_context_is_sent_and_the_daemons_words_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    // Several pieces: the archive is not sent whole.
    std::fs::write(folder.path().join("large"), vec![7; 1024 * 1024]).unwrap();
    let words =
        json!({"stream": "Step 1/1 : FROM scratch\n"}).to_string() + "\n" + &json!({"stream": " ---> 1\n"}).to_string();
    let (bench, asked) = bench(vec![(200, words)]);
    let args = ["--tag", "web:1", folder.path().to_str().unwrap()];
    let text = granted(bench, folder.path()).command("docker-build-image", &args).unwrap();
    assert_eq!(text, "Step 1/1 : FROM scratch\n ---> 1\n");
    let asked = asked.recv().unwrap();
    for part in ["POST /build?", "dockerfile=Dockerfile", "t=web%3A1"] {
        assert!(asked.line.contains(part), "{part} in {}", asked.line);
    }
    assert_eq!(
        asked.headers.iter().find(|line| line.starts_with("content-type")).unwrap(),
        "content-type: application/x-tar"
    );
    let mut archive = tar::Archive::new(asked.body.as_slice());
    let sizes: Vec<(String, u64)> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.map(|entry| (entry.path().unwrap().display().to_string(), entry.size())).unwrap())
        .collect();
    assert_eq!(sizes, [("Dockerfile".to_owned(), 13), ("large".to_owned(), 1024 * 1024)]);
}

#[test]
fn a_failed_build_gives_the_daemons_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY gone /\n").unwrap();
    let words = json!({"errorDetail": {"message": "COPY failed: no gone"}, "error": "COPY failed"}).to_string();
    let (bench, _) = bench(vec![(200, words)]);
    let args = ["--tag", "web:1", folder.path().to_str().unwrap()];
    let error = granted(bench, folder.path()).command("docker-build-image", &args).unwrap_err();
    assert_eq!(error.message(), "cannot build web:1: COPY failed: no gone");
}

#[test]
fn a_socket_that_is_no_path_is_a_matter_of_configuration() {
    let (bench, _) = bench(vec![]);
    let error = bench.config("docker_socket", "tcp://x").command("docker-list-containers", &[]).unwrap_err();
    assert!(error.help().is_some_and(|help| help.contains("set docker_socket")), "{error:?}");
}
