//! Secrets of the host: its environment.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;

/// The plugin's whole environment.
const ENVIRONMENT: &str = "LANG=C.UTF-8\nMIGRAINE_API=1.0\nPATH=/usr/bin:/bin\nRAYON_NUM_THREADS=2\nTMPDIR=/tmp\n\
                           TOKIO_WORKER_THREADS=2\nTZ=UTC\n";

/// Runs with variables in the host's environment: none may reach the plugin, and each does when the environment is not built.
fn none_arrives(case: u16, variables: &[(&str, &str)]) {
    let host = |arena: &Arena| variables.iter().fold(arena.clone(), |arena, (name, value)| arena.variable(name, value));
    everywhere(|arena, _| {
        let mut lines: Vec<String> =
            host(arena).run("environ", &[]).out.lines().map(|line| format!("{line}\n")).collect();
        lines.sort();
        assert_eq!(lines.concat(), ENVIRONMENT);
    });
    let mut rows = Rows::of(case);
    for &user in kernel::users() {
        let inherited = host(&Arena::new(On::All, user)).without("Environment").run("environ", &[]).out;
        for (name, _) in variables {
            let has = inherited.lines().any(|line| line.split('=').next() == Some(name));
            rows.host(name, user, "absent", "without Environment", if has { "works" } else { "absent" });
        }
    }
    rows.settle();
}

#[test]
fn a098_the_loader_is_told_nothing() {
    none_arrives(
        98,
        &[
            ("GLIBC_TUNABLES", "glibc.malloc.check=3"),
            ("LD_LIBRARY_PATH", "/nonexistent"),
            ("LD_AUDIT", "/nonexistent/audit.so"),
            ("LD_PRELOAD", "/nonexistent/preload.so"),
            ("GCONV_PATH", "/nonexistent"),
            ("LOCPATH", "/nonexistent"),
        ],
    );
}

#[test]
fn a201_the_environment_is_built_and_not_inherited() {
    none_arrives(
        201,
        &[
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("GITHUB_TOKEN", "secret"),
            ("SSH_AUTH_SOCK", "/tmp/agent"),
            ("HOME", "/root"),
            ("https_proxy", "http://user:secret@proxy.example"),
        ],
    );
}

#[test]
fn a205_no_passphrase_arrives() {
    none_arrives(205, &[("MIGRAINE_SIGNING_KEY", "secret"), ("MIGRAINE_SIGNING_PASSPHRASE", "secret")]);
}
