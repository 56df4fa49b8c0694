//! Tests of the tee with real shells: everything arrives, and nothing waits for a background child.

use std::fs;
use std::io::Seek as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::exec::{Streams, exit_code, inherited, teed};
use super::*;

/// Streams that end in files.
struct Files {
    out: File,
    err: File,
    streams: Streams,
}

impl Files {
    fn new() -> Self {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let copy = |file: &File| OwnedFd::from(file.try_clone().unwrap());
        let stdin = OwnedFd::from(File::open("/dev/null").unwrap());
        Self { streams: Streams { stdin, stdout: copy(&out), stderr: copy(&err) }, out, err }
    }

    fn written(&mut self) -> (Vec<u8>, Vec<u8>) {
        let read = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        (read(&mut self.out), read(&mut self.err))
    }
}

fn run(command: &str) -> (ExitStatus, Capture, Files, Leftovers) {
    let files = Files::new();
    let mut leftovers = Leftovers::new().unwrap();
    let mut capture = Capture::default();
    let see = &mut |piece: Piece<'_>| capture.add(piece.bytes);
    let status = teed(Path::new("/bin/sh"), command, &files.streams, &mut leftovers, see).unwrap();
    (status, capture, files, leftovers)
}

#[test]
fn three_mebibytes_on_both_streams_at_once_arrive_whole_and_are_captured_cut() {
    let size = 3 << 20;
    let (status, capture, mut files, _) =
        run("head -c 3145728 /dev/zero | tr '\\0' o & head -c 3145728 /dev/zero | tr '\\0' e >&2; wait");
    assert!(status.success());
    let (out, err) = files.written();
    assert_eq!((out.len(), err.len()), (size, size));
    assert!(out.iter().all(|&byte| byte == b'o') && err.iter().all(|&byte| byte == b'e'));
    assert_eq!(capture.size(), 2 * size as u64);
    let bytes = capture.bytes(&Secrets::default());
    let marker = format!("\n[... {} bytes left out ...]\n", 2 * size - CAPTURE_MAX);
    assert_eq!(bytes.len(), CAPTURE_MAX + marker.len());
    assert_eq!(&bytes[CAPTURE_MAX / 2..CAPTURE_MAX / 2 + marker.len()], marker.as_bytes());
}

// covers: S35
#[test]
fn the_capture_keeps_head_and_tail() {
    let check = |sizes: &[usize], cut: bool| {
        let whole: Vec<u8> = (0u8..251).cycle().take(sizes.iter().sum()).collect();
        let mut capture = Capture::default();
        let mut at = 0;
        for size in sizes {
            capture.add(&whole[at..at + size]);
            at += size;
        }
        let kept = capture.bytes(&Secrets::default());
        assert_eq!(capture.size(), whole.len() as u64);
        assert_eq!(kept != whole, cut, "{sizes:?}");
        let half = (CAPTURE_MAX / 2).min(whole.len());
        assert_eq!(kept[..half], whole[..half]);
        assert_eq!(kept[kept.len() - half..], whole[whole.len() - half..]);
    };
    check(&[], false);
    check(&[5, 6], false);
    check(&[CAPTURE_MAX], false);
    check(&[CAPTURE_MAX - 1, 1], false);
    check(&[CAPTURE_MAX / 2 + 1, CAPTURE_MAX / 2], true);
    check(&[1, 3 * CAPTURE_MAX, 7], true);
}

#[test]
fn a_background_child_that_holds_the_pipe_is_not_waited_for_nor_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (go, done) = (folder.path().join("go"), folder.path().join("done"));
    let command = format!(
        "(while [ ! -e '{go}' ]; do sleep 0.02; done; echo late; touch '{done}') & echo early",
        go = go.display(),
        done = done.display()
    );
    let started = Instant::now();
    let (status, capture, mut files, leftovers) = run(&command);
    assert!(status.success());
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(capture.bytes(&Secrets::default()), b"early\n");
    fs::write(&go, "").unwrap();
    while !done.exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the background child died with the pipe");
        thread::sleep(Duration::from_millis(10));
    }
    while files.written().0 != b"early\nlate\n" {
        assert!(started.elapsed() < Duration::from_secs(20), "late output was not passed on");
        thread::sleep(Duration::from_millis(10));
    }
    drop(leftovers);
}

#[test]
fn a_background_child_that_floods_the_pipe_does_not_keep_the_run() {
    let started = Instant::now();
    let (status, capture, _, leftovers) = run("yes & echo first; sleep 1");
    assert!(status.success());
    assert!(capture.size() > 6);
    drop(leftovers);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_reader_that_left_ends_the_command_as_without_a_tee() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut files = Files::new();
    files.streams.stdout = OwnedFd::from(writer);
    let see = &mut |_: Piece<'_>| {};
    let mut leftovers = Leftovers::new().unwrap();
    let status = teed(Path::new("/bin/sh"), "exec yes", &files.streams, &mut leftovers, see).unwrap();
    assert_eq!(status.signal(), Some(13));
}

#[test]
fn a_slow_reader_that_made_the_pipe_non_blocking_gets_everything() {
    let (mut reader, writer) = io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    let mut files = Files::new();
    files.streams.stdout = OwnedFd::from(writer);
    let read = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes.len())
    });
    let see = &mut |_: Piece<'_>| {};
    let mut leftovers = Leftovers::new().unwrap();
    teed(Path::new("/bin/sh"), "head -c 1000000 /dev/zero", &files.streams, &mut leftovers, see).unwrap();
    drop(files);
    assert_eq!(read.join().unwrap().unwrap(), 1_000_000);
}

// covers: S34
#[test]
fn exit_codes_are_the_shells_and_signals_count_from_128() {
    let check = |command: &str, expected: i32| {
        let files = Files::new();
        let status = inherited(Path::new("/bin/sh"), command, &files.streams).unwrap();
        assert_eq!(exit_code(status), expected, "{command}");
        assert_eq!(exit_code(run(command).0), expected, "{command} with a tee");
    };
    check("exit 0", 0);
    check("exit 3", 3);
    check("kill -9 $$", 137);
    check("kill -INT $$", 130);
    check("absent-command-of-this-test", 127);
}

#[test]
fn without_a_hook_a_command_gets_the_very_streams() {
    let (mut peer, own) = std::os::unix::net::UnixStream::pair().unwrap();
    let own = || OwnedFd::from(own.try_clone().unwrap());
    let streams = Streams { stdin: own(), stdout: own(), stderr: own() };
    peer.write_all(b"answer\n").unwrap();
    let command =
        "read line; echo \"got $line\"; for n in 0 1 2; do readlink /proc/self/fd/$n; done; readlink /proc/$$/fd/3";
    inherited(Path::new("/bin/sh"), command, &streams).unwrap();
    drop(streams);
    peer.set_nonblocking(true).unwrap();
    let mut bytes = vec![0; 4096];
    let size = peer.read(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..size]).into_owned();
    assert!(text.starts_with("got answer\n"), "{text}");
    // Standard output is inherited by readlink itself, so all three lines name the one socket.
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 3, "no fourth descriptor: {text}");
    assert!(lines.iter().all(|line| line.starts_with("socket:[") && line == &lines[0]), "{text}");
}

#[test]
fn a_slow_hook_holds_up_neither_the_terminal_nor_the_command() {
    let (mut reader, writer) = io::pipe().unwrap();
    let stdin = OwnedFd::from(File::open("/dev/null").unwrap());
    let stderr = OwnedFd::from(File::open("/dev/null").unwrap());
    let streams = Streams { stdin, stdout: writer.into(), stderr };
    let mut leftovers = Leftovers::new().unwrap();
    let size = 300 << 10;
    let (mut whole, mut seen) = (vec![0; size], 0);
    let see = &mut |piece: Piece<'_>| {
        if seen == 0 {
            // Everything is shown, and the command is over, while this is only the first piece.
            reader.read_exact(&mut whole).unwrap();
        }
        seen += piece.bytes.len();
    };
    let command = format!("head -c {size} /dev/zero | tr '\\0' o");
    let status = teed(Path::new("/bin/sh"), &command, &streams, &mut leftovers, see).unwrap();
    assert!(status.success());
    assert_eq!(seen, size);
    assert!(whole.iter().all(|&byte| byte == b'o'));
}
