//! Secrets of the host: its environment, its memory, another plugin's configuration, open descriptors.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;

/// The plugin's whole environment.
const ENVIRONMENT: &str = "LANG=C.UTF-8\nMIGRAINE_API=1.0\nPATH=/usr/bin:/bin\nRAYON_NUM_THREADS=2\nTMPDIR=/tmp\n\
                           TOKIO_WORKER_THREADS=2\nTZ=UTC\n";

// A98, A201, A205
#[test]
fn the_environment_is_built_and_not_inherited() {
    everywhere(|arena, _| {
        let host = arena
            .clone()
            .variable("AWS_SECRET_ACCESS_KEY", "secret")
            .variable("GITHUB_TOKEN", "secret")
            .variable("SSH_AUTH_SOCK", "/tmp/agent")
            .variable("HOME", "/root")
            .variable("MIGRAINE_SIGNING_KEY", "secret")
            .variable("GLIBC_TUNABLES", "glibc.malloc.check=3")
            .variable("LD_LIBRARY_PATH", "/nonexistent")
            .variable("LD_AUDIT", "/nonexistent/audit.so");
        let mut lines: Vec<String> = host.run("environ", &[]).out.lines().map(|line| format!("{line}\n")).collect();
        lines.sort();
        assert_eq!(lines.concat(), ENVIRONMENT);
    });
}

/// As the hostile plugin reads it: bytes with a mask over them, in hex.
fn masked(text: &str) -> String {
    text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
}

// A105: the scan finds what is there, and nothing of the host or of a sibling is.
#[test]
fn nothing_of_the_host_is_in_the_workers_memory() {
    let secret = "canary-in-the-hosts-memory";
    for &user in kernel::users() {
        for on in [On::All, On::Nothing] {
            let arena = Arena::new(on, user).variable("MIGRAINE_TEST_CANARY", secret).with(&[
                "--idle",
                "1",
                "--idle-config",
                &format!("token={secret}"),
            ]);
            let outcome = arena.run("canary", &[&masked(secret)]);
            assert!(outcome.out.contains("canary: refused ENOKEY"), "{on:?} {outcome:?}");
            let own = arena.clone().with(&["--config", &format!("token={secret}")]).run("canary", &[&masked(secret)]);
            assert!(own.out.contains("canary: worked"), "the scan finds nothing: {own:?}");
            let known = arena.run("canary", &[&masked("MIGRAINE_API=1.0")]);
            assert!(known.out.contains("canary: worked"), "the scan misses the environment: {known:?}");
        }
    }
}

// A8
#[test]
fn only_agreed_descriptors_are_open() {
    let expected = "0: device 1:3\n1: pipe\n2: pipe\n3: pipe\n4: pipe\n";
    everywhere(|arena, _| {
        assert_eq!(arena.run("fds", &[]).out, expected);
        assert_eq!(arena.run("fds", &["one more"]).out, format!("{expected}5: device 1:5\n"));
        let receives = arena.clone().with(&["--connects"]);
        assert_eq!(receives.run("fds", &[]).out, format!("{expected}7: socket\n"));
    });
}

// A11
#[test]
fn procfs_shows_nothing() {
    for &user in kernel::users() {
        let unprotected = Arena::new(On::Nothing, user).run("proc-files", &[]).out;
        assert!(unprotected.contains("self/mem") && unprotected.contains("cpuinfo"), "{unprotected}");
        for on in [On::All, On::Without("landlock"), On::Spaces] {
            let arena = Arena::new(on, user);
            assert_eq!(arena.run("proc-files", &[]).out, "", "{on:?}");
            assert_eq!(arena.with(&["--copy"]).run("proc-files", &[]).out, "", "{on:?}");
        }
    }
}
