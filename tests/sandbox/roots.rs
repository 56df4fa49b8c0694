//! Granted directories: they are there at their own paths, as they were granted, and nothing beside them is.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use migraine_tests::arena::{Arena, On, Outcome};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;
use migraine_tests::run::{PLAIN, Ran, User, is_running, run};
use tempfile::TempDir;

const EPERM: &[&str] = &["EPERM"];
const EROFS: &[&str] = &["EROFS"];
const ENOENT: &[&str] = &["ENOENT"];

/// `in` with `file`, `sub/deep` and links that lead out of it; beside it `out` with `secret`. All of it is for its owner
/// alone.
struct Tree(TempDir);

impl Tree {
    fn new(user: User, place: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("migraine-roots-").tempdir_in(place).expect("make a directory");
        let path = directory.path();
        for name in ["in/sub", "out", "more"] {
            fs::create_dir_all(path.join(name)).expect("make a directory");
        }
        for name in ["in/file", "in/sub/deep", "out/secret", "more/file"] {
            fs::write(path.join(name), "content").expect("write a file");
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o600)).expect("close a file");
        }
        symlink("../out/secret", path.join("in/relative")).expect("make a link");
        symlink(path.join("out/secret"), path.join("in/absolute")).expect("make a link");
        symlink("file", path.join("in/inside")).expect("make a link");
        for name in ["", "in", "in/sub", "in/file", "in/sub/deep", "out", "out/secret", "more", "more/file"] {
            user.give(&path.join(name));
        }
        for name in ["in", "in/sub", "out", "more"] {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o700)).expect("close a file");
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn arena(&self, arena: &Arena, options: &[(&str, &str)]) -> Arena {
        let add = |arena: Arena, (option, name): &(&str, &str)| arena.with(&[option, &self.path(name)]);
        options.iter().fold(arena.clone(), add)
    }
}

fn everywhere_with_halves(judge: impl Fn(&Arena, User)) {
    everywhere(&judge);
    for &user in kernel::users() {
        judge(&Arena::new(On::Spaces, user), user);
        judge(&Arena::new(On::Filters, user), user);
    }
}

// The scratch lies in /tmp, so a directory there needs it elsewhere.
#[test]
fn a_directory_is_there_at_its_own_path() {
    for place in ["/tmp", "/var/tmp"] {
        everywhere_with_halves(|arena, user| {
            let tree = Tree::new(user, place);
            let arena = tree.arena(arena, &[("--read", "in")]);
            for (command, name, answer) in [
                ("read", "in/file", "7 bytes"),
                ("read", "in/sub/deep", "7 bytes"),
                ("read", "in/inside", "7 bytes"),
                ("list", "in", "5 entries"),
                ("list", "in/sub", "1 entries"),
            ] {
                let outcome = arena.run(command, &[&tree.path(name)]);
                assert!(outcome.last().ends_with(answer), "{command} {name} as {user:?}: {outcome:?}");
            }
        });
    }
}

// A1, A5
#[test]
fn nothing_beside_it_is_there() {
    for place in ["/tmp", "/var/tmp"] {
        for &user in kernel::users() {
            let tree = Tree::new(user, place);
            let outside = ["out/secret", "in/relative", "in/absolute", "in/../out/secret", "in/sub/../../out/secret"];
            let free = Arena::new(On::Nothing, user);
            for name in outside {
                assert!(free.run("read", &[&tree.path(name)]).worked(), "{name} proves nothing");
            }
            for (on, answer) in [(On::All, "ENOENT"), (On::Spaces, "ENOENT"), (On::Filters, "EACCES")] {
                let arena = tree.arena(&Arena::new(on, user), &[("--read", "in")]);
                for name in outside {
                    let outcome = arena.run("read", &[&tree.path(name)]);
                    assert!(outcome.last().ends_with(answer), "{name} {on:?} as {user:?}: {outcome:?}");
                }
                for name in ["", "out", ".."] {
                    let outcome = arena.run("list", &[&tree.path(name)]);
                    let is_only_the_way = on == On::Spaces && outcome.last().ends_with("worked 1 entries");
                    assert!(outcome.stopped() || is_only_the_way, "{name} {on:?} as {user:?}: {outcome:?}");
                }
            }
        }
    }
}

// A4, A5, A6, A7, A27, A31, A35
#[test]
fn what_may_be_read_may_not_be_changed_or_run() {
    check(&[
        Attack::new("write", &["{dir}/new"]).reads().answer(EROFS),
        Attack::new("write", &["{dir}/file"]).reads().answer(EROFS),
        Attack::new("truncate", &["{dir}/file"]).reads().answer(EPERM),
        Attack::new("open-truncate", &["{dir}/file"]).reads().answer(EROFS),
        Attack::new("rename", &["{dir}/file", "{dir}/new"]).reads().answer(EROFS),
        Attack::new("chmod", &["{dir}/file"]).reads().answer(EPERM),
        Attack::new("chown", &["{dir}/file"]).reads().answer(EPERM),
        Attack::new("utimes", &["{dir}/file"]).reads().answer(EPERM),
        Attack::new("setxattr", &["{dir}/file"]).reads().answer(EPERM),
        Attack::new("symlink", &["/etc/shadow", "{dir}/new"]).reads().answer(EPERM),
        Attack::new("link", &["{dir}/file", "{dir}/new"]).reads().answer(EPERM),
        Attack::new("mknod", &["{dir}/new"]).reads().root().answer(EPERM),
        Attack::new("mkfifo", &["{dir}/new"]).reads().answer(EPERM),
        Attack::new("bind-unix", &["{dir}/new"]).reads().answer(EPERM),
        Attack::new("connect-unix", &["{dir}/socket"]).reads().by(Stops::Filters).answer(EPERM),
        Attack::new("inotify", &["{dir}/file"]).reads().by(Stops::Filters).answer(EPERM),
        Attack::new("handle", &["{dir}/file"]).reads().by(Stops::Filters).answer(&["name_to_handle_at"]),
        Attack::new("read", &["{dir}/link/passwd"]).reads().answer(ENOENT),
        Attack::new("stat", &["{dir}/link/shadow"]).reads().by(Stops::Spaces).answer(ENOENT),
        Attack::new("exec", &["{dir}/program"]).reads(),
        Attack::new("map-exec", &["{dir}/program"]).reads().by(Stops::Spaces).answer(EPERM),
        Attack::new("read", &["{dir}/null"]).reads().root().by(Stops::Spaces),
    ]);
}

#[test]
fn what_is_made_in_a_writable_directory_is_the_callers() {
    everywhere_with_halves(|arena, user| {
        let tree = Tree::new(user, "/var/tmp");
        let arena = tree.arena(arena, &[("--write", "in")]);
        for (command, args) in [
            ("write", &["in/new"][..]),
            ("write", &["in/file"]),
            ("rename", &["in/new", "in/sub/moved"]),
            ("rename", &["in/sub/deep", "in/up"]),
            ("open-truncate", &["in/file"]),
            ("truncate", &["in/file"]),
            ("copy", &["in/sub/moved", "in/copy"]),
            ("link", &["in/copy", "in/linked"]),
            ("touch", &["in/copy"]),
        ] {
            let args: Vec<String> = args.iter().map(|name| tree.path(name)).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let outcome = arena.run(command, &args);
            assert!(outcome.worked(), "{command} {args:?} as {user:?}: {outcome:?}");
        }
        let made = fs::metadata(tree.path("in/sub/moved")).unwrap();
        let owner = if user == User::Root { 0 } else { fs::metadata(tree.path("in")).unwrap().uid() };
        assert_eq!((made.uid(), made.len()), (owner, 5), "as {user:?}");
        assert_eq!(fs::read(tree.path("in/file")).unwrap(), b"");
        assert!(Path::new(&tree.path("in/up")).exists());
        let copy = fs::metadata(tree.path("in/copy")).unwrap();
        assert_eq!((copy.uid(), copy.mtime(), copy.nlink()), (owner, 0, 2), "as {user:?}");
    });
}

// A6, A31, A35
#[test]
fn a_writable_directory_holds_no_code_links_or_devices() {
    for &user in kernel::users() {
        let tree = Tree::new(user, "/var/tmp");
        let (new, file) = (tree.path("in/new"), tree.path("in/file"));
        let grants = [("--write", "in"), ("--read", "more")];
        let free = Arena::new(On::Nothing, user);
        let (all, spaces, filters) = (On::All, On::Spaces, On::Filters);
        for (command, args, held_by) in [
            ("scratch-exec", vec![tree.path("in")], &[all, spaces][..]),
            ("symlink", vec!["/etc/shadow".to_owned(), new.clone()], &[all, filters]),
            ("link", vec![tree.path("more/file"), new.clone()], &[all, spaces, filters]),
            ("set-id", vec![new.clone()], &[all, filters]),
            ("truncate", vec![tree.path("more/file")], &[all, spaces, filters]),
            ("touch", vec![tree.path("more/file")], &[all, spaces, filters]),
            ("mkfifo", vec![new.clone()], &[all, filters]),
            ("bind-unix", vec![new.clone()], &[all, filters]),
            ("chmod", vec![file.clone()], &[all, filters]),
            ("rename", vec![tree.path("more/file"), new.clone()], &[all, spaces, filters]),
            ("rename", vec![file.clone(), tree.path("more/new")], &[all, spaces, filters]),
            ("rename", vec![file.clone(), tree.path("out/new")], &[all, spaces, filters]),
        ] {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            for &on in held_by {
                let outcome = tree.arena(&Arena::new(on, user), &grants).run(command, &args);
                assert!(outcome.stopped(), "{command} {args:?} {on:?} as {user:?}: {outcome:?}");
                let left = fs::symlink_metadata(&new).ok();
                // A write takes the bits away, but from root with its capabilities.
                let is_capable = on == On::Filters && user == User::Root;
                let is_plain = |mode: u32| command == "set-id" && (is_capable || mode & 0o6000 == 0);
                let is_harmless = left.is_none_or(|left| is_plain(left.mode()));
                assert!(is_harmless, "{command} {on:?} as {user:?} left something");
                restore(&tree, "", &[], user);
            }
            // Last: it changes the scene.
            assert!(free.run(command, &args).worked(), "{command} {args:?} proves nothing");
            restore(&tree, command, &args, user);
        }
    }
}

fn restore(tree: &Tree, command: &str, args: &[&str], user: User) {
    match command {
        "rename" => fs::rename(args[1], args[0]).expect("move it back"),
        "chmod" => {
            fs::set_permissions(args[0], fs::Permissions::from_mode(0o600)).expect("close it");
            user.give(Path::new(args[0]));
        }
        _ => drop(fs::remove_file(tree.path("in/new"))),
    }
}

#[test]
fn directories_inside_of_each_other_keep_their_rights() {
    let options = [("--read", "in"), ("--write", "in/sub"), ("--read", "more")];
    everywhere_with_halves(|arena, user| {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let tree = Tree::new(user, "/tmp");
            let arena = tree.arena(arena, &order.map(|at| options[at]));
            let run = |command, name| arena.run(command, &[&tree.path(name)]);
            for name in ["in/file", "in/sub/deep", "more/file"] {
                assert!(run("read", name).worked(), "{name} as {user:?}, {order:?}");
            }
            assert!(run("write", "in/sub/new").worked(), "as {user:?}, {order:?}");
            for name in ["in/new", "more/new"] {
                assert!(run("write", name).stopped(), "{name} as {user:?}, {order:?}");
            }
        }
    });
}

fn refused(outcome: &Outcome, path: &str, word: &str) {
    let is_named = outcome.last().starts_with(&format!("directory_refused: the directory `{path}`"));
    assert!(outcome.code == 6 && is_named && outcome.last().contains(word), "{path} {word}: {outcome:?}");
}

#[test]
fn what_is_no_plain_directory_is_refused_by_name() {
    everywhere(|arena, user| {
        let tree = Tree::new(user, "/tmp");
        symlink(tree.path("in"), tree.path("link")).unwrap();
        for (name, word) in [
            ("none", "does not exist"),
            ("in/file", "not a directory"),
            ("link", "symbolic link"),
            ("link/sub", "symbolic link"),
            ("in/../out", "no place"),
        ] {
            let outcome = tree.arena(arena, &[("--read", "in"), ("--read", name)]).run("quiet", &[]);
            refused(&outcome, &tree.path(name), word);
        }
        for path in ["/", "/proc", "/dev/shm", "/sys/kernel", "relative"] {
            refused(&arena.clone().with(&["--read", path]).run("quiet", &[]), path, "no place");
        }
    });
}

#[test]
fn the_worker_tries_that_a_directory_is_read_only() {
    everywhere(|arena, user| {
        let tree = Tree::new(user, "/tmp");
        let seal = |option| tree.arena(arena, &[(option, "in")]).with(&["--facts"]).run("quiet", &[]).out;
        let probe = "change a directory to read";
        assert!(seal("--read").contains(probe));
        assert!(!seal("--write").contains(probe));
    });
}

// A system directory is granted seldom, but then the self-check must not take it for a leak.
#[test]
fn a_directory_of_the_system_can_be_granted() {
    everywhere(|arena, _| {
        let arena = arena.clone().with(&["--read", "/etc", "--read", "/usr/bin"]);
        assert!(arena.run("read", &["/etc/passwd"]).worked());
        assert!(arena.run("read", &["/usr/lib/os-release"]).stopped());
    });
}

/// A program in a mount namespace of its own, after a line of the shell that root runs there; `$1` is the tree.
fn with_mounts(tree: &Tree, line: &str, command: &Command) -> Outcome {
    let mut whole = Command::new("unshare");
    whole.args(["--mount", "sh", "-ec", &format!("{line}\nshift; exec \"$@\""), "sh"]);
    whole
        .arg(tree.0.path())
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let Ran { code, out, err, took } = run(&mut whole, Duration::from_secs(20));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code, out: text(&out), err: text(&err), took, left: 0, zombies: 0, peak_kib: 0 }
}

fn users_under_root() -> &'static [User] {
    if nix::unistd::geteuid().is_root() {
        return kernel::users();
    }
    kernel::skip("what is mounted in a directory", "only root can mount");
    &[]
}

#[test]
fn what_is_mounted_in_it_is_seen_as_the_caller_sees_it() {
    for &user in users_under_root() {
        let tree = Tree::new(user, "/var/tmp");
        let arena = tree.arena(&Arena::new(On::All, user), &[("--read", "in")]);
        let mount = format!(
            "mount -t tmpfs -o mode=0755 none $1/in/sub; echo mounted > $1/in/sub/deep; chown {PLAIN} $1/in/sub/deep"
        );
        let outcome = with_mounts(&tree, &mount, &arena.command("read", &[&tree.path("in/sub/deep")]));
        assert!(outcome.out.contains("worked 8 bytes"), "as {user:?}: {outcome:?}");
        let outcome = with_mounts(&tree, &mount, &arena.command("write", &[&tree.path("in/sub/new")]));
        assert!(outcome.out.contains("EROFS"), "as {user:?}: {outcome:?}");
        let outcome = with_mounts(&tree, "mount -t proc none $1/in/sub", &arena.command("quiet", &[]));
        refused(&outcome, &tree.path("in"), "an interface of the kernel (proc, mounted at");
    }
}

// Root's files can be shown to a worker only where their owners can be mapped.
#[test]
fn a_file_system_without_id_maps_is_refused_by_name_under_root() {
    for &user in users_under_root() {
        let tree = Tree::new(user, "/var/tmp");
        let arena = tree.arena(&Arena::new(On::All, user), &[("--read", "in")]);
        let mount = "mount -t ramfs none $1/in/sub; chmod 755 $1/in/sub";
        let outcome = with_mounts(&tree, mount, &arena.command("list", &[&tree.path("in/sub")]));
        if user == User::Root {
            refused(&outcome, &tree.path("in"), &format!("(ramfs at `{}`)", tree.path("in/sub")));
        } else {
            assert!(outcome.out.contains("worked 0 entries"), "{outcome:?}");
        }
    }
}

#[test]
fn roots_workers_read_what_root_owns_and_what_everybody_may() {
    if !kernel::users().contains(&User::Root) {
        return;
    }
    let tree = Tree::new(User::Root, "/var/tmp");
    let set = |mode, owner| {
        fs::set_permissions(tree.path("in/file"), fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::lchown(tree.path("in/file"), Some(owner), Some(owner)).unwrap();
    };
    let arena = tree.arena(&Arena::new(On::All, User::Root), &[("--read", "in")]);
    for (mode, owner, readable) in [(0o400, 0, true), (0o644, PLAIN, true), (0o600, PLAIN, false), (0o000, 0, false)] {
        set(mode, owner);
        let outcome = arena.run("read", &[&tree.path("in/file")]);
        assert_eq!(outcome.worked(), readable, "{mode:o} of {owner}: {outcome:?}");
    }
}

#[test]
fn what_a_plugin_makes_is_as_private_as_what_the_caller_makes() {
    for &user in users_under_root() {
        let tree = Tree::new(user, "/var/tmp");
        let arena = tree.arena(&Arena::new(On::All, user), &[("--write", "in")]);
        let outcome = with_mounts(&tree, "umask 077", &arena.command("write", &[&tree.path("in/new")]));
        assert!(outcome.out.contains("worked"), "{outcome:?}");
        assert_eq!(fs::metadata(tree.path("in/new")).unwrap().mode() & 0o777, 0o600);
    }
}

// A79; other users can read command lines.
#[test]
fn its_path_is_on_no_command_line_and_it_ends_with_the_host() {
    for &user in kernel::users() {
        let tree = Tree::new(user, "/tmp");
        let before = fs::read("/proc/self/mountinfo").unwrap();
        let arena = tree.arena(&Arena::new(On::All, user), &[("--read", "in")]).with(&["--pids", "--wall", "60000"]);
        let mut child = arena.command("sleep", &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let pids: Vec<i32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(pids.len(), 3, "host, launcher and worker: {line}");
        let named = |pid: &i32| {
            let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            String::from_utf8(command_line).unwrap().contains(&tree.path("in"))
        };
        assert_eq!(pids.iter().map(named).collect::<Vec<_>>(), [true, false, false], "as {user:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let start = Instant::now();
        while pids.iter().any(|pid| is_running(*pid)) {
            assert!(start.elapsed() < Duration::from_secs(1), "as {user:?} it lives on: {line}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fs::read("/proc/self/mountinfo").unwrap(), before);
    }
}

// A78
#[test]
fn nothing_stays_mounted() {
    everywhere(|arena, user| {
        let tree = Tree::new(user, "/tmp");
        let before = fs::read("/proc/self/mountinfo").unwrap();
        let arena = tree.arena(arena, &[("--read", "in"), ("--write", "more")]);
        for command in ["quiet", "abort", "spin"] {
            let _ = arena.clone().with(&["--wall", "300"]).run(command, &[]);
        }
        assert_eq!(fs::read("/proc/self/mountinfo").unwrap(), before);
        // A mount that somebody still holds would keep the directory busy.
        let path: PathBuf = tree.0.path().to_owned();
        drop(tree);
        assert!(!path.exists());
    });
}
