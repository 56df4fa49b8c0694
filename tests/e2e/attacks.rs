//! Listed attacks that the product itself stops, and that each works where the check that stops it is left out. What becomes of
//! them stands in `sandbox/matrix.txt`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use migraine_tests::arena::{Arena, On};
use migraine_tests::home::Home;
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};
use migraine_tests::package::{plugin, remade, typed};
use migraine_tests::run::{Background, User};
use migraine_tests::terminal;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde_json::{Value, json};

/// The outcome of one attack, and of the same one by a product that leaves a check out.
pub(crate) fn with_and_without(
    home: &mut Home,
    checks: &'static str,
    mut attack: impl FnMut(&Home) -> String,
) -> [String; 2] {
    let stopped = attack(home);
    home.leave_out(checks);
    let without = attack(home);
    home.leave_out("");
    [stopped, without]
}

pub(super) fn word(works: bool, otherwise: &str) -> String {
    if works { WORKS } else { otherwise }.to_owned()
}

#[test]
fn a087_a_service_needs_its_permission() {
    let mut rows = Rows::of(87);
    let workflow = "config: {variables: {secret: hunter2}}\nsteps: [{command: 'true'}]";
    for &user in kernel::users() {
        let mut home = Home::of(user);
        let hooks = json!([{"event": "pre-workflow", "handler": "seen"}]);
        home.install(&remade("hooks", &json!({"name": "spy", "hooks": hooks, "permissions": []})));
        home.write("w.yaml", workflow);
        let [stopped, without] = with_and_without(&mut home, "Permission", |home| {
            home.run(["run", "./w.yaml"]).ends(0);
            let notes = home.ok(&["plugin", "spy", "notes"]).out;
            let note: Value = serde_json::from_str(notes.lines().last().unwrap()).unwrap();
            word(!note["asked"].is_null(), "permission_denied")
        });
        rows.host("ask for the variables", user, &stopped, "without Permission", &without);
    }
    rows.settle();
}

#[test]
fn a093_ending_the_chain_needs_its_permission() {
    let mut rows = Rows::of(93);
    for &user in kernel::users() {
        let mut home = Home::of(user);
        for (name, priority) in [("first", 9), ("second", 1)] {
            let hooks = json!([{"event": "pre-command", "handler": "seen", "priority": priority}]);
            home.install(&remade("hooks", &json!({"name": name, "hooks": hooks, "permissions": []})));
        }
        let behaviour = json!({"pre-command": "stop"}).to_string();
        home.ok(&["plugin", "config", "first", "set", "behave", &behaviour]);
        home.write("w.yaml", "steps: [{command: 'true'}]");
        let [stopped, without] = with_and_without(&mut home, "ChainEnd", |home| {
            let report = home.json(&["run", "./w.yaml"]);
            let called = report["hooks"].as_array().unwrap().iter().any(|hook| hook["plugin"] == "second");
            word(!called, "ignored")
        });
        rows.host("end the chain", user, &stopped, "without ChainEnd", &without);
    }
    rows.settle();
}

/// Agreed with the hostile plugin: where it exists, the library's constructor leaves a file there.
const INVITATION: &str = "/tmp/migraine-constructor";

#[test]
fn a095_managing_a_plugin_runs_none_of_it() {
    let mut rows = Rows::of(95);
    let _ = fs::remove_dir_all(INVITATION);
    fs::create_dir(INVITATION).unwrap();
    fs::set_permissions(INVITATION, fs::Permissions::from_mode(0o777)).unwrap();
    let ran = || fs::read_dir(INVITATION).unwrap().count();
    for &user in kernel::users() {
        let (home, parcel) = (Home::of(user), plugin("hostile"));
        for args in [
            &["plugin", "info", parcel.typed()][..],
            &["plugin", "install", parcel.typed(), "--yes"],
            &["plugin", "list"],
            &["plugin", "info", "hostile"],
            &["plugin", "verify", "hostile"],
            &["plugin", "disable", "hostile"],
            &["plugin", "enable", "hostile", "--yes"],
            &["plugin", "uninstall", "hostile"],
        ] {
            home.ok(args);
        }
        let stopped = word(ran() > 0, "nothing runs");
        assert_eq!(Arena::new(On::Nothing, user).run("quiet", &[]).code, 0);
        rows.host("install, list, info, verify, uninstall", user, &stopped, "when it is loaded", &word(ran() > 0, "-"));
        for file in fs::read_dir(INVITATION).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
    fs::remove_dir_all(INVITATION).unwrap();
    rows.settle();
}

/// Tries to install a changed library, with and without the check that refuses it.
fn install_changed(rows: &mut Rows, attack: &str, check: &'static str, change: impl Fn(&mut Vec<u8>)) {
    for &user in kernel::users() {
        let parcel = plugin("hello-world");
        let mut library = fs::read(&parcel.library).unwrap();
        change(&mut library);
        let parcel = parcel.replaced(&library);
        let mut home = Home::of(user);
        let [stopped, without] = with_and_without(&mut home, check, |home| {
            home.word(["plugin", "install", parcel.typed(), "--allow-unsigned", "--yes"])
        });
        rows.host(attack, user, &stopped, &format!("without {check}"), &without);
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

/// Offset of the first program header of a type (elf(5)).
fn segment(library: &[u8], kind: u32) -> usize {
    let (table, count) = (number(library, 32), usize::from(library[56]));
    let mut headers = (0..count).map(|index| table + index * 56);
    headers.find(|at| library[*at..*at + 4] == kind.to_le_bytes()).expect("the library has such a segment")
}

#[test]
fn a096_only_the_systems_libraries_are_needed() {
    let mut rows = Rows::of(96);
    install_changed(&mut rows, "need another library", "Needed", |library| {
        let name = b"libgcc_s.so.1";
        let at = library.windows(name.len()).position(|window| window == name).expect("it needs this library");
        library[at + 7] = b'x';
    });
    rows.settle();
}

#[test]
fn a096_no_path_is_needed() {
    let mut rows = Rows::of(96);
    install_changed(&mut rows, "need one by its path", "Needed", |library| {
        let (name, path) = (b"libgcc_s.so.1", b"/tmp/evil.so1");
        let at = library.windows(name.len()).position(|window| window == name).expect("it needs this library");
        library[at..at + path.len()].copy_from_slice(path);
    });
    rows.settle();
}

#[test]
fn a097_the_dynamic_loader_is_told_nothing_else() {
    let mut rows = Rows::of(97);
    for (name, tag) in [
        ("DT_RPATH", 15u64),
        ("DT_RUNPATH", 29),
        ("DT_AUDIT", 0x6fff_fefc),
        ("DT_DEPAUDIT", 0x6fff_fefb),
        ("DT_FILTER", 0x7fff_ffff),
        ("DT_AUXILIARY", 0x7fff_fffd),
    ] {
        install_changed(&mut rows, name, "Dynamic", |library| {
            let table = number(library, segment(library, 2) + 8);
            // In place of DT_RELACOUNT, which only speeds the loader up.
            let mut entries = (0..).map(|index| table + index * 16);
            let at = entries.find(|at| number(library, *at) == 0x6fff_fff9).unwrap();
            library[at..at + 8].copy_from_slice(&tag.to_le_bytes());
        });
    }
    rows.settle();
}

#[test]
fn a099_only_a_plain_library_is_installed() {
    let mut rows = Rows::of(99);
    install_changed(&mut rows, "another machine", "ElfForm", |library| library[18] = 0xb7);
    install_changed(&mut rows, "ET_EXEC", "ElfForm", |library| library[16] = 2);
    install_changed(&mut rows, "an executable stack", "ElfForm", |library| {
        let at = segment(library, 0x6474_e551);
        library[at + 4] |= 1;
    });
    install_changed(&mut rows, "p_memsz 4 GiB", "ElfForm", |library| {
        let at = segment(library, 1);
        library[at + 40..at + 48].copy_from_slice(&(4u64 << 30).to_le_bytes());
    });
    install_changed(&mut rows, "PT_INTERP", "ElfForm", |library| {
        let at = segment(library, 4);
        library[at] = 3;
    });
    rows.settle();
}

/// What the parser itself cannot read has no check to leave out.
#[test]
fn a099_what_is_not_a_library_at_all_is_refused() {
    let mut rows = Rows::of(99);
    for &user in kernel::users() {
        for (attack, change) in [
            ("32-bit", (|library| library[4] = 1) as fn(&mut Vec<u8>)),
            ("big-endian", |library| library[5] = 2),
            ("phnum 65535", |library| library[56..58].fill(0xff)),
            ("TEXTREL", |library| {
                let table = number(library, segment(library, 2) + 8);
                let mut entries = (0..).map(|index| table + index * 16);
                let at = entries.find(|at| number(library, *at) == 0x6fff_fff9).unwrap();
                library[at..at + 8].copy_from_slice(&22u64.to_le_bytes());
            }),
            ("truncated", |library| library.truncate(library.len() / 2)),
        ] {
            let parcel = plugin("hello-world");
            let mut library = fs::read(&parcel.library).unwrap();
            change(&mut library);
            let parcel = parcel.replaced(&library);
            let home = Home::of(user);
            let before = home.snapshot();
            let code = home.word(["plugin", "install", parcel.typed(), "--allow-unsigned", "--yes"]);
            assert_eq!(home.snapshot(), before, "{attack} was stored");
            rows.design(attack, user, &code);
        }
    }
    rows.settle();
}

/// The installed library of the one plugin of a home.
fn installed(home: &Home) -> PathBuf {
    let is_library = |path: &Path| path.extension().is_some_and(|extension| extension == "so");
    home.snapshot().into_keys().find(|path| is_library(path)).unwrap()
}

/// The same library with another text in it.
fn evil(good: &[u8]) -> Vec<u8> {
    let mut evil = good.to_vec();
    let places: Vec<usize> =
        evil.windows(6).enumerate().filter(|(_, window)| window == b"Hello,").map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| evil[at..at + 6].copy_from_slice(b"Pwned,"));
    assert_ne!(evil, good);
    evil
}

#[test]
fn a101_what_was_swapped_does_not_run() {
    let mut rows = Rows::of(101);
    for &user in kernel::users() {
        let mut home = Home::of(user);
        home.install(&plugin("hello-world"));
        let file = installed(&home);
        let good = fs::read(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, evil(&good)).unwrap();
        let [stopped, without] = with_and_without(&mut home, "Digest", |home| {
            let done = home.run(["--format", "json", "plugin", "run", "hello-world", "hello"]);
            word(done.out.starts_with("Pwned"), if done.code == 6 { "integrity" } else { "another end" })
        });
        rows.host("swap the installed library", user, &stopped, "without Digest", &without);
    }
    rows.settle();
}

/// Tells another thread that it is over, also when this one panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs of one host program and how many such programs, for each user: ten thousand runs in all.
const SWAPPED_RUNS: (usize, usize) = (500, 10);

#[test]
fn a101_a_swap_at_the_right_moment_does_not_run() {
    let mut rows = Rows::of(101);
    for &user in kernel::users() {
        let home = Home::of(user);
        home.install(&plugin("hello-world"));
        let file = installed(&home);
        let folder = file.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        let (good, bad) = (folder.join("good"), folder.join("bad"));
        let bytes = fs::read(&file).unwrap();
        fs::write(&good, &bytes).unwrap();
        fs::write(&bad, evil(&bytes)).unwrap();
        [&good, &bad].into_iter().for_each(|path| user.give(path));
        let over = AtomicBool::new(false);
        let run = |arena: &Arena, times: &str| {
            let arena = arena.clone().library(Path::new("hello-world")).with(&["--repeat", times, "--installed"]);
            arena.with(&[typed(&home.path())]).run("hello", &[]).out
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for source in [&bad, &good] {
                        let copy = folder.join("next");
                        fs::hard_link(source, &copy).and_then(|()| fs::rename(copy, &file)).unwrap();
                        // A rename onto a link to the same file leaves both.
                        let _ = fs::remove_file(folder.join("next"));
                        // Each is read at times, by a machine that does other things as well.
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
            });
            let end = Over(&over);
            let arena = Arena::new(On::All, user);
            let (times, programs) = SWAPPED_RUNS;
            let out: String = (0..programs).map(|_| run(&arena, &times.to_string())).collect();
            let without = run(&arena.without("Digest"), "200");
            drop(end);
            let count = |out: &str, line: &str| out.lines().filter(|found| found.starts_with(line)).count();
            let (ran, refused) = (count(&out, "Hello,"), count(&out, "integrity"));
            assert!(ran > 0 && refused > 0 && ran + refused == times * programs, "{ran} {refused}");
            let stopped = word(out.contains("Pwned"), "integrity");
            let without = word(without.contains("Pwned"), "never seen");
            rows.host("swap it 5000 times while it is loaded", user, &stopped, "without Digest", &without);
        });
    }
    rows.settle();
}

#[test]
fn a088_a_link_does_not_turn_the_host_elsewhere() {
    let mut rows = Rows::of(88);
    for &user in kernel::users() {
        let folder = tempfile::tempdir().unwrap();
        user.give(folder.path());
        let mine = folder.path().join("mine");
        fs::create_dir(&mine).unwrap();
        user.give(&mine);
        let other = UnixListener::bind(folder.path().join("other")).unwrap();
        fs::set_permissions(folder.path().join("other"), fs::Permissions::from_mode(0o777)).unwrap();
        symlink(folder.path().join("other"), mine.join("socket")).unwrap();
        let endpoint = format!("unix:{}", mine.join("socket").display());
        let asked = [format!("network={endpoint}"), format!("filesystem=write:{}", mine.display())];
        let parcel = remade("reach", &json!({"permissions": asked, "config": {}}));
        let grants =
            asked.iter().map(String::as_str).chain(["filesystem+network"]).flat_map(|grant| ["--grant", grant]);
        let mut home = Home::of(user);
        home.ok(&["plugin", "install", parcel.typed(), "--yes"].into_iter().chain(grants).collect::<Vec<_>>());
        let _answers = std::thread::spawn(move || other.incoming().for_each(drop));
        let talk = ["plugin", "run", "reach", "talk", &endpoint, "x"];
        let [stopped, without] = with_and_without(&mut home, "Path", |home| {
            let code = home.word(talk);
            // Whoever answers closes at once: the plugin was connected, however it ends.
            if code == "plugin_failed" { WORKS.to_owned() } else { code }
        });
        rows.host("lay a link where the host connects", user, &stopped, "without Path", &without);
    }
    rows.settle();
}

/// Connections in one call, less than it may ask for; and calls.
const ROUNDS: (u32, u32) = (1000, 10);

// Ten thousand rounds: a directory in a granted one is a directory, and a link to another one, in turn.
#[test]
fn a088_a_swap_at_the_right_moment_does_not_turn_the_host_elsewhere() {
    let mut rows = Rows::of(88);
    for &user in kernel::users() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (mine, outside) = (root.join("mine"), root.join("outside"));
        let (place, turned) = (mine.join("place"), mine.join("turned"));
        [&mine, &outside, &place].into_iter().for_each(|directory| fs::create_dir(directory).unwrap());
        symlink(&outside, &turned).unwrap();
        let [inside, other] = [&place, &outside].map(|directory| accepted(&directory.join("socket")));
        for path in [&root, &mine, &outside, &place, &turned] {
            user.give(path);
        }
        let endpoint = format!("unix:{}", place.join("socket").display());
        let asked = [format!("network={endpoint}"), format!("filesystem=write:{}", mine.display())];
        let parcel = remade("reach", &json!({"permissions": asked, "config": {}}));
        let grants =
            asked.iter().map(String::as_str).chain(["filesystem+network"]).flat_map(|grant| ["--grant", grant]);
        let mut home = Home::of(user);
        home.ok(&["plugin", "install", parcel.typed(), "--yes"].into_iter().chain(grants).collect::<Vec<_>>());
        let (rounds, calls) = ROUNDS;
        let race = ["plugin", "run", "reach", "race", &endpoint, &rounds.to_string()].map(str::to_owned);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let swap = RenameFlags::RENAME_EXCHANGE;
                    renameat2(AT_FDCWD, &place, AT_FDCWD, &turned, swap).expect("swap two names");
                }
            });
            let end = Over(&over);
            for _ in 0..calls {
                home.run(&race).ends(0);
            }
            let reached = [&inside, &other].map(|count| count.load(Ordering::Relaxed));
            home.leave_out("Path");
            home.run(&race).ends(0);
            drop(end);
            assert!(reached[0] > 0, "nobody was ever connected");
            let stopped = word(reached[1] > 0, "permission_denied");
            let without = word(other.load(Ordering::Relaxed) > reached[1], "never turned");
            rows.host("swap a directory for a link, 10000 times", user, &stopped, "without Path", &without);
        });
    }
    rows.settle();
}

/// Counts who connects, as long as the tests run.
fn accepted(path: &Path) -> Arc<AtomicU32> {
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    count
}

#[test]
fn a204_nothing_secret_is_shown_to_other_users() {
    if !kernel::users().contains(&User::Root) {
        return;
    }
    let mut rows = Rows::of(204);
    let home = Home::new();
    home.install(&remade("hooks", &json!({"name": "secret", "permissions": [], "hooks": []})));
    home.ok(&["plugin", "config", "secret", "set", "init", "hunter2"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode();
    assert_eq!(mode(&home.path()) & 0o077, 0, "others can enter the home");
    let secret_files =
        home.snapshot().into_iter().filter(|(_, (_, bytes))| bytes.windows(7).any(|text| text == b"hunter2"));
    for (path, (mode, _)) in secret_files {
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    let mut look = User::Plain.command(Path::new("ls"));
    assert!(!look.arg(home.path()).output().unwrap().status.success());
    rows.design("look into the home", User::Plain, "EACCES");
    // What the host tells its launchers and workers: a variable's value, a setting, the path of a directory.
    let directory = home.work().canonicalize().unwrap().join("private-directory");
    fs::create_dir(&directory).unwrap();
    let asked = ["env_vars=TOKEN".to_owned(), format!("filesystem=read:{}", directory.display())];
    let parcel = remade("reach", &json!({"permissions": asked, "config": {"socket": "/run/secret-setting"}}));
    home.ok(&["plugin", "install", parcel.typed(), "--yes", "--grant", &asked[0], "--grant", &asked[1]]);
    let watch = "while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; done";
    let mut watcher = User::Plain.command(Path::new("sh"));
    let watcher = watcher.args(["-c", watch]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut watcher = Background(watcher);
    let mut output = watcher.0.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        std::io::Read::read_to_end(&mut output, &mut seen).map(|_| seen)
    });
    for _ in 0..20 {
        let mut command = home.command(["plugin", "run", "reach", "environ"]);
        let done = migraine_tests::home::Done::of(command.env("TOKEN", "hunter2"));
        done.ends(0).says(&["TOKEN=hunter2"]);
    }
    drop(watcher);
    let seen = reader.join().unwrap().unwrap();
    let holds = |text: &str| seen.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("environ"), "the runs were not seen at all");
    for secret in ["hunter2", "private-directory", "secret-setting"] {
        assert!(!holds(secret), "`{secret}` stands on a command line");
    }
    rows.design("watch the command lines", User::Plain, "nothing");
    rows.settle();
}

#[test]
fn a206_a_key_that_others_can_change_is_not_used() {
    let mut rows = Rows::of(206);
    for &user in kernel::users() {
        let mut home = Home::of(user);
        let keys = home.path().join("keys");
        let file = fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let parcel = plugin("hello-world");
        let [stopped, without] =
            with_and_without(&mut home, "FileMode", |home| home.word(["plugin", "install", parcel.typed(), "--yes"]));
        rows.host("a trusted key that others can write", user, &stopped, "without FileMode", &without);
    }
    rows.settle();
    // No verb takes a passphrase, so none can stand on a command line.
    let home = Home::new();
    for verb in [&["--help"][..], &["key", "--help"], &["key", "trust", "--help"], &["plugin", "install", "--help"]] {
        home.run(verb).never_says(&["passphrase", "password"]);
    }
}

/// What a shell sees of its terminal after a run: whether its modes are the same, and how many bytes wait to be read as if
/// they had been typed.
const LOOK: &str = "modes=$(stty -g); RUN; [ \"$modes\" = \"$(stty -g)\" ] && echo same modes\n\
                    stty -icanon min 0 time 2; echo typed $(head -c 8 | wc -c)";

fn on_terminal(home: &Home, run: &str, args: &[&str]) -> String {
    terminal::shell(home, &LOOK.replace("RUN", run), args).ends(0).out.clone()
}

/// A request on the terminal that the program stands on.
const REQUEST: &str = "import fcntl, termios\nfcntl.ioctl(0, termios.";

#[test]
fn a014_the_users_own_terminal_is_not_typed_into() {
    let mut rows = Rows::of(14);
    for &user in kernel::users() {
        let home = Home::of(user);
        home.install(&plugin("hostile"));
        for attack in ["tiocsti", "tiocsti-high"] {
            let seen = on_terminal(&home, "\"$@\"", &["plugin", "run", "hostile", attack]);
            assert!(seen.contains("refused EPERM") && seen.contains("same modes"), "{seen}");
            let stopped = word(!seen.contains("typed 0"), "EPERM");
            let outside = on_terminal(&home, &format!("python3 -c '{REQUEST}TIOCSTI, b\"x\")'"), &[]);
            let outside = word(outside.contains("typed 1"), "nothing");
            rows.host(
                &format!("{attack} on the host's terminal"),
                user,
                &stopped,
                "by a program that has it",
                &outside,
            );
        }
    }
    rows.settle();
}

#[test]
fn a016_the_users_own_terminal_stays_as_it_is() {
    let mut rows = Rows::of(16);
    for &user in kernel::users() {
        let home = Home::of(user);
        home.install(&plugin("hostile"));
        let outside = on_terminal(&home, "stty -echo", &[]);
        let outside = word(!outside.contains("same modes"), "nothing");
        for attack in ["tcsetattr", "tiocsetd", "tioclinux", "kdskbent", "tcsetpgrp", "tioccons"] {
            let seen = on_terminal(&home, "\"$@\"", &["plugin", "run", "hostile", attack]);
            assert!(seen.contains("refused EPERM") && seen.contains("typed 0"), "{seen}");
            let stopped = word(!seen.contains("same modes"), "EPERM");
            rows.host(
                &format!("{attack} on the host's terminal"),
                user,
                &stopped,
                "by a program that has it",
                &outside,
            );
        }
    }
    rows.settle();
}
