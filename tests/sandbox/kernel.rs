//! The kernel's surface: calls that no plugin needs, and doors around the filter.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check};
use migraine_tests::kernel;

const EPERM: &[&str] = &["EPERM"];
const ENOSYS: &[&str] = &["ENOSYS"];

// A19
#[test]
fn the_tree_cannot_be_changed() {
    check(&[
        Attack::new("mount", &["{dir}"]).root().answer(&["system call mount"]),
        Attack::new("umount", &["{dir}"]).root().answer(&["umount2"]),
        Attack::new("pivot-root", &[]).root().answer(&["pivot_root"]),
        Attack::new("chroot", &[]).root().answer(&["chroot"]),
        Attack::new("fsopen", &[]).root().answer(ENOSYS),
        Attack::new("open-tree", &[]).by(Stops::Filters).answer(ENOSYS),
    ]);
}

// A20, A21, A22, A34
#[test]
fn dangerous_calls_are_closed() {
    check(&[
        Attack::new("io-uring", &[]).by(Stops::Filters).answer(ENOSYS),
        Attack::new("bpf", &[]).root().answer(&["system call bpf"]),
        Attack::new("perf", &[]).by(Stops::Filters).answer(&["perf_event_open"]),
        Attack::new("userfaultfd", &[]).by(Stops::Filters).answer(&["userfaultfd"]),
        Attack::new("keyctl", &[]).by(Stops::Filters).answer(&["keyctl"]),
        Attack::new("add-key", &[]).by(Stops::Filters).answer(&["add_key"]),
        Attack::new("syslog", &[]).root().answer(&["syslog"]),
        Attack::new("acct", &[]).root().answer(&["acct"]),
        Attack::new("shm", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("msg", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("landlock", &[]).by(Stops::Filters).answer(EPERM),
    ]);
}

// A14, A15, A16
#[test]
fn terminals_cannot_be_typed_into() {
    check(&[
        Attack::new("tiocsti", &[]).answer(EPERM),
        Attack::new("tiocsti-high", &[]).answer(EPERM),
        Attack::new("tiocsetd", &[]).answer(EPERM),
    ]);
}

// A15: only the low word counts, as for the kernel. The filter alone lets the request pass.
#[test]
fn a_high_bit_changes_no_verdict() {
    for &user in kernel::users() {
        let filter = Arena::new(On::Only("seccomp"), user);
        assert!(filter.run("tiocsti-high", &[]).last().ends_with("refused EPERM"));
        assert!(filter.run("tiocgwinsz-high", &[]).last().ends_with("refused ENOTTY"));
    }
}

// A23, A24
#[test]
fn other_doors_of_the_kernel_are_closed() {
    check(&[
        Attack::new("int80", &[]).by(Stops::Filters).answer(&["foreign interface"]),
        Attack::new("x32", &[]).differs().by(Stops::Filters).answer(&["foreign interface"]),
    ]);
}

// A26, A37, A40
#[test]
fn the_sandbox_cannot_be_loosened() {
    check(&[
        Attack::new("personality", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("setrlimit", &[]).by(Stops::Filters).answer(EPERM),
        // Containers often keep this right from root as well.
        Attack::new("setrlimit", &["raise"]).differs().answer(EPERM),
        Attack::new("dumpable", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("core", &[]).by(Stops::Spaces).answer(EPERM),
        Attack::new("prctl-seccomp", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("mlock", &[]).answer(EPERM),
    ]);
}
