//! Listed attacks on what an index lists: files are dropped, added or become something else after it was signed, in a package
//! and in what somebody unpacked of one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use migraine_tests::archive::{Crafted, Entry};
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;
use migraine_tests::package::typed;

use super::signed::install;

/// A signed package of three files.
fn crafted() -> Crafted {
    Crafted::good(&[("a.txt", b"a"), ("z.txt", b"z")])
}

/// Installs files as every user: the package file, and what stock `tar` and somebody else made of the good one. Nothing of it
/// remains.
fn unpacked_rows(case: u16, packages: &[(&str, Crafted)], changes: &[(&str, &str)]) {
    let mut rows = Rows::of(case);
    for &user in kernel::users() {
        let home = Home::of(user);
        for (label, package) in packages {
            let file = home.write_bytes("bad.mgp", &package.package());
            let before = home.snapshot();
            rows.design(label, user, &install(&home, &file));
            assert_eq!(home.snapshot(), before, "{label}");
        }
        home.write_bytes("good.mgp", &crafted().package());
        let unpack = "rm -rf made; mkdir made; zstd -dcq good.mgp | tar -xf - -C made; cd made; ";
        for (label, change) in changes {
            let script = |line: &str| {
                let mut shell = user.command(Path::new("/bin/sh"));
                shell.args(["-ec", &format!("{unpack}{line}")]).env("PATH", "/usr/bin:/bin").current_dir(home.work());
                Done::of(&mut shell).ends(0);
            };
            script(change);
            let before = home.snapshot();
            rows.design(label, user, &install(&home, &home.work().join("made")));
            assert_eq!(home.snapshot(), before, "{label}");
            // The same without the change is in order.
            script("true");
            assert_eq!(home.word(["plugin", "verify", typed(&home.work().join("made"))]), "works", "{label}");
        }
    }
    rows.settle();
}

#[test]
fn a115_a_package_is_all_of_its_index_and_no_more() {
    let without = |at: usize| {
        let mut package = crafted();
        package.entries.remove(at);
        package
    };
    assert_eq!(crafted().entries.len(), 3);
    let mut swapped = crafted();
    swapped.entries.swap(0, 2);
    unpacked_rows(
        115,
        &[
            ("leave the first file out", without(0)),
            ("leave a file out", without(1)),
            ("leave the last file out", without(2)),
            ("one file more", crafted().then(Entry::file(b"zz.txt", b"more"))),
            ("one file more, first", crafted().before(Entry::file(b"0.txt", b"more"))),
            ("another order", swapped),
        ],
        &[
            ("unpacked: a file is gone", "rm a.txt"),
            ("unpacked: one file more", "echo > more.txt"),
            ("unpacked: one file more, deep", "mkdir -p b/c; echo > b/c/more.txt"),
            ("unpacked: a file is longer", "echo >> a.txt"),
            ("unpacked: a file is shorter", ": > a.txt"),
        ],
    );
}

#[test]
fn a116_kinds_are_signed_and_nothing_else_gives_modes() {
    let of = |entry: Entry| {
        let mut package = crafted();
        package.entries[0] = entry;
        package
    };
    let file = || Entry::file(b"a.txt", b"a");
    unpacked_rows(
        116,
        &[
            ("make a file executable in the archive", of(file().mode(b"0000755"))),
            ("make a file everybody's in the archive", of(file().mode(b"0000666"))),
            ("make a file a directory in the archive", of(Entry::of_type(b'5', b"a.txt", b""))),
            ("make a file a link in the archive", of(Entry::of_type(b'2', b"a.txt", b"z.txt"))),
        ],
        &[
            ("unpacked: a file is a link now", "rm a.txt; printf a > ../a.txt; ln -s ../a.txt a.txt"),
            ("unpacked: a file is a FIFO now", "rm a.txt; mkfifo a.txt"),
            ("unpacked: a file is a directory now", "rm a.txt; mkdir a.txt"),
            ("unpacked: a file is in a linked directory", "mkdir d; mv a.txt d; ln -s d/a.txt a.txt"),
        ],
    );
    // What was unpacked has the modes of whoever did it: those of the index come into the store, whatever they are.
    for &user in kernel::users() {
        let home = Home::of(user);
        home.write_bytes("good.mgp", &crafted().package());
        let mut shell = user.command(Path::new("/bin/sh"));
        let line = "mkdir made; zstd -dcq good.mgp | tar -xf - -C made; chmod 4777 made/*; chmod 700 made";
        Done::of(shell.args(["-ec", line]).env("PATH", "/usr/bin:/bin").current_dir(home.work())).ends(0);
        home.ok(&["plugin", "install", typed(&home.work().join("made")), "--yes"]);
        let store = home.path().join("store");
        let files: Vec<PathBuf> = home.snapshot().into_keys().filter(|path| path.starts_with(&store)).collect();
        let files: Vec<&PathBuf> = files.iter().filter(|path| path.is_file()).collect();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert!(files.len() >= 5 && files.iter().all(|path| mode(path) == 0o444), "{files:?}");
        // And of what is installed: one that others can change is not used, one that is executable runs no other way.
        let text = *files.iter().find(|path| path.ends_with("a.txt")).unwrap();
        let set = |mode: u32| fs::set_permissions(text, fs::Permissions::from_mode(mode)).unwrap();
        for (open, code) in [(0o646, "insecure_permissions"), (0o664, "insecure_permissions"), (0o755, "works")] {
            set(open);
            assert_eq!(home.word(["plugin", "crafted", "go"]), code, "{open:o} as {user}");
        }
        set(0o444);
    }
}
