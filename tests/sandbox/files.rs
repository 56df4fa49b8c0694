//! Files of the user: reading, writing, looking, changing.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;

const EPERM: &[&str] = &["EPERM"];
const EROFS: &[&str] = &["EROFS"];
const ENOENT: &[&str] = &["ENOENT"];

#[test]
fn a001_content_is_out_of_reach() {
    check(
        1,
        &[
            Attack::new("read", &["/etc/passwd"]).answer(ENOENT),
            Attack::new("read", &["{dir}/file"]).answer(ENOENT),
            Attack::new("read", &["{dir}/link/passwd"]).answer(ENOENT),
            Attack::new("read", &["/proc/self/root/etc/passwd"]).answer(&["ENOENT", "EACCES"]),
            Attack::new("read", &["../../../../etc/passwd"]).answer(ENOENT),
            Attack::new("list", &["/etc"]).answer(ENOENT),
            Attack::new("list", &["{dir}"]).answer(ENOENT),
        ],
    );
}

#[test]
fn a002_nothing_can_be_written() {
    check(
        2,
        &[
            Attack::new("write", &["{dir}/new"]).answer(ENOENT),
            Attack::new("write", &["{dir}/file"]).answer(ENOENT),
            Attack::new("create", &["/var/tmp/migraine-test-{run}"]).answer(ENOENT),
            Attack::new("create", &["/dev/shm/migraine-test-{run}"]).answer(ENOENT),
            Attack::new("write", &["{dir}/new"]).reads().answer(EROFS),
            Attack::new("write", &["{dir}/file"]).reads().answer(EROFS),
        ],
    );
}

// The private root itself is no place to write either.
#[test]
fn a002_the_private_root_is_read_only() {
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

// Landlock does not cover looking, so the namespaces must.
#[test]
fn a003_metadata_is_out_of_reach() {
    check(
        3,
        &[
            Attack::new("stat", &["{dir}/file"]).by(Stops::Spaces).answer(ENOENT),
            Attack::new("stat", &["/etc/shadow"]).by(Stops::Spaces).answer(ENOENT),
            Attack::new("access", &["{dir}/file"]).by(Stops::Spaces).answer(ENOENT),
            Attack::new("readlink", &["{dir}/link"]).by(Stops::Spaces).answer(ENOENT),
            Attack::new("list", &["{dir}"]).answer(ENOENT),
            Attack::new("inotify", &["{dir}/file"]).answer(EPERM),
            Attack::new("inotify", &["{dir}/file"]).reads().by(Stops::Filters).answer(EPERM),
            Attack::new("stat", &["{dir}/link/shadow"]).reads().by(Stops::Spaces).answer(ENOENT),
        ],
    );
}

#[test]
fn a004_attributes_cannot_be_changed() {
    check(
        4,
        &[
            Attack::new("chmod", &["{dir}/file"]).answer(EPERM),
            Attack::new("chown", &["{dir}/file"]).answer(EPERM),
            Attack::new("utimes", &["{dir}/file"]).answer(EPERM),
            Attack::new("setxattr", &["{dir}/file"]).answer(EPERM),
            Attack::new("chmod", &["{dir}/file"]).reads().answer(EPERM),
            Attack::new("chown", &["{dir}/file"]).reads().answer(EPERM),
            Attack::new("utimes", &["{dir}/file"]).reads().answer(EPERM),
            Attack::new("setxattr", &["{dir}/file"]).reads().answer(EPERM),
            Attack::new("chmod", &["{dir}/file"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("chown", &["{dir}/file"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("utimes", &["{dir}/file"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("setxattr", &["{dir}/file"]).writes().by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a005_links_cannot_be_planted_or_followed() {
    check(
        5,
        &[
            Attack::new("symlink", &["/etc/shadow", "{dir}/new"]).answer(EPERM),
            Attack::new("symlink", &["/etc/shadow", "{dir}/new"]).reads().answer(EPERM),
            Attack::new("symlink", &["/etc/shadow", "{dir}/new"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("read", &["{dir}/link/passwd"]).reads().answer(ENOENT),
            Attack::new("read", &["{dir}/link/passwd"]).writes().answer(ENOENT),
        ],
    );
}

#[test]
fn a006_files_cannot_be_linked_or_moved() {
    check(
        6,
        &[
            Attack::new("link", &["{dir}/file", "{dir}/new"]).answer(EPERM),
            Attack::new("rename", &["{dir}/file", "{dir}/new"]).answer(ENOENT),
            Attack::new("link", &["{dir}/file", "{dir}/new"]).reads().answer(EPERM),
            Attack::new("rename", &["{dir}/file", "{dir}/new"]).reads().answer(EROFS),
            Attack::new("rename", &["{dir}/file", "/var/tmp/migraine-test-{run}"]).writes().answer(ENOENT),
        ],
    );
}

#[test]
fn a007_files_cannot_be_shortened() {
    check(
        7,
        &[
            Attack::new("truncate", &["{dir}/file"]).answer(EPERM),
            Attack::new("open-truncate", &["{dir}/file"]).answer(ENOENT),
            Attack::new("truncate", &["{dir}/file"]).reads().answer(EPERM),
            Attack::new("open-truncate", &["{dir}/file"]).reads().answer(EROFS),
        ],
    );
}

#[test]
fn a033_files_have_no_handles() {
    check(
        33,
        &[
            Attack::new("handle", &["{dir}/file"]).answer(&["name_to_handle_at"]),
            Attack::new("handle", &["{dir}/file"]).reads().by(Stops::Filters).answer(&["name_to_handle_at"]),
            Attack::new("open-handle", &[]).root().answer(&["open_by_handle_at"]),
        ],
    );
}

#[test]
fn a035_devices_pipes_and_sockets_cannot_be_made() {
    check(
        35,
        &[
            Attack::new("mknod", &["{dir}/new"]).root().answer(EPERM),
            Attack::new("mkfifo", &["{dir}/new"]).answer(EPERM),
            Attack::new("bind-unix", &["{dir}/new"]).answer(EPERM),
            Attack::new("mknod", &["{dir}/new"]).reads().root().answer(EPERM),
            Attack::new("mkfifo", &["{dir}/new"]).reads().answer(EPERM),
            Attack::new("bind-unix", &["{dir}/new"]).reads().answer(EPERM),
            Attack::new("mknod", &["{dir}/new"]).writes().root().answer(EPERM),
            Attack::new("mkfifo", &["{dir}/new"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("bind-unix", &["{dir}/new"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("whiteout", &["{dir}/file", "{dir}/new"]).answer(EPERM),
            Attack::new("whiteout", &["{dir}/file", "{dir}/new"]).reads().answer(EPERM),
            Attack::new("whiteout", &["{dir}/file", "{dir}/new"]).writes().by(Stops::Filters).answer(EPERM),
            Attack::new("read", &["{dir}/null"]).reads().root().by(Stops::Spaces),
        ],
    );
}

#[test]
fn the_scratch_is_there_and_private() {
    everywhere(|arena, user| {
        let name = format!("/tmp/migraine-scratch-{user}");
        let outcome = arena.run("write", &[&name]);
        assert!(outcome.worked(), "{outcome:?}");
        assert!(!std::path::Path::new(&name).exists(), "{name} is on the machine");
        let outcome = arena.run("read", &[&name]);
        assert!(outcome.last().ends_with("ENOENT"), "the scratch survived its worker: {outcome:?}");
        assert!(arena.run("list", &["/tmp"]).out.contains("worked 0 entries"));
    });
}
