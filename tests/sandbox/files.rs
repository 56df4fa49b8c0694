//! Files of the user: reading, writing, looking, changing.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;

const EPERM: &[&str] = &["EPERM"];
const ENOENT: &[&str] = &["ENOENT"];

// A1, A2
#[test]
fn content_is_out_of_reach() {
    check(&[
        Attack::new("read", &["/etc/passwd"]).answer(ENOENT),
        Attack::new("read", &["{dir}/file"]).answer(ENOENT),
        Attack::new("read", &["{dir}/link/passwd"]).answer(ENOENT),
        Attack::new("read", &["/proc/self/root/etc/passwd"]).answer(&["ENOENT", "EACCES"]),
        Attack::new("read", &["../../../../etc/passwd"]).answer(ENOENT),
        Attack::new("list", &["/etc"]).answer(ENOENT),
        Attack::new("list", &["{dir}"]).answer(ENOENT),
        Attack::new("write", &["{dir}/new"]).answer(ENOENT),
        Attack::new("write", &["{dir}/file"]).answer(ENOENT),
        Attack::new("truncate", &["{dir}/file"]).answer(EPERM),
        // A7
        Attack::new("open-truncate", &["{dir}/file"]).answer(ENOENT),
    ]);
}

// A3: Landlock does not cover looking, so the namespaces must.
#[test]
fn metadata_is_out_of_reach() {
    check(&[
        Attack::new("stat", &["{dir}/file"]).by(Stops::Spaces).answer(ENOENT),
        Attack::new("stat", &["/etc/shadow"]).by(Stops::Spaces).answer(ENOENT),
        Attack::new("readlink", &["{dir}/link"]).by(Stops::Spaces).answer(ENOENT),
        Attack::new("inotify", &["{dir}/file"]).answer(EPERM),
    ]);
}

// A4, A5, A6, A33, A35
#[test]
fn nothing_can_be_changed_linked_or_made() {
    check(&[
        Attack::new("chmod", &["{dir}/file"]).answer(EPERM),
        Attack::new("chown", &["{dir}/file"]).answer(EPERM),
        Attack::new("utimes", &["{dir}/file"]).answer(EPERM),
        Attack::new("setxattr", &["{dir}/file"]).answer(EPERM),
        Attack::new("symlink", &["/etc/shadow", "{dir}/new"]).answer(EPERM),
        Attack::new("link", &["{dir}/file", "{dir}/new"]).answer(EPERM),
        Attack::new("rename", &["{dir}/file", "{dir}/new"]).answer(ENOENT),
        Attack::new("mknod", &["{dir}/new"]).root().answer(EPERM),
        Attack::new("mkfifo", &["{dir}/new"]).answer(EPERM),
        Attack::new("bind-unix", &["{dir}/new"]).answer(EPERM),
        Attack::new("handle", &["{dir}/file"]).answer(&["name_to_handle_at"]),
    ]);
}

// A2: the private root itself is no place to write either.
#[test]
fn the_private_root_is_read_only() {
    let places = ["/", "/dev/", "/proc/", "/proc/self/", "/dev/code/", "/dev/shm/", "/var/tmp/", "/etc/", "/tmp/../"];
    for &user in kernel::users() {
        for arena in
            [Arena::new(On::All, user), Arena::new(On::Without("landlock"), user), Arena::new(On::Spaces, user)]
        {
            for arena in [arena.clone(), arena.with(&["--copy"])] {
                for place in places {
                    let outcome = arena.run("write", &[&format!("{place}migraine-test-pwned")]);
                    assert!(outcome.stopped(), "{place}: {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn the_scratch_is_there_and_private() {
    everywhere(|arena, user| {
        let name = format!("/tmp/migraine-scratch-{user:?}");
        let outcome = arena.run("write", &[&name]);
        assert!(outcome.worked(), "{outcome:?}");
        assert!(!std::path::Path::new(&name).exists(), "{name} is on the machine");
        let outcome = arena.run("read", &[&name]);
        assert!(outcome.last().ends_with("ENOENT"), "the scratch survived its worker: {outcome:?}");
        assert!(arena.run("list", &["/tmp"]).out.contains("worked 0 entries"));
    });
}
