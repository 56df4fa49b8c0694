//! Code that comes in: with the library, while it is loaded, and after it was checked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use migraine_host::package::elf::inspect;
use migraine_tests::arena::{Arena, On};
use migraine_tests::artifacts;
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;
use migraine_tests::matrix::{COLUMNS, Rows};
use migraine_tests::package;

const EPERM: &[&str] = &["EPERM"];

#[test]
fn a031_the_scratch_holds_no_code() {
    check(
        31,
        &[
            Attack::new("scratch-exec", &["/tmp"]).by(Stops::Spaces).answer(EPERM),
            Attack::new("scratch-exec", &["{dir}"]).answer(&["ENOENT"]),
            Attack::new("map-exec", &["{dir}/program"]).reads().by(Stops::Spaces).answer(EPERM),
            Attack::new("map-exec", &["{dir}/program"]).writes().by(Stops::Spaces).answer(EPERM),
        ],
    );
    everywhere(|arena, _| {
        let outcome = arena.run("scratch-dlopen", &["/tmp"]);
        assert!(outcome.last().ends_with("refused EPERM"), "{outcome:?}");
    });
    let library = artifacts::library("hello-world").display().to_string();
    for &user in kernel::users() {
        let directory = tempfile::tempdir().unwrap();
        user.give(directory.path());
        let place = directory.path().display().to_string();
        let unprotected = Arena::new(On::Nothing, user).run("scratch-dlopen", &[&place, &library]);
        assert!(unprotected.worked(), "{unprotected:?}");
    }
}

#[test]
fn a104_memory_never_becomes_code() {
    check(
        104,
        &[
            Attack::new("mmap-rwx", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("mprotect-exec", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("memfd-map", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("proc-mem", &[]).answer(&["EACCES", "ENOENT"]),
            // The host's own binary.
            Attack::new("own-exe", &[]).answer(&["EACCES", "ENOENT"]),
        ],
    );
}

// The sealed bytes and their private copy.
#[test]
fn a104_the_plugin_cannot_change_its_own_file() {
    for &user in kernel::users() {
        for on in [On::All, On::Spaces] {
            for options in [&[][..], &["--copy"]] {
                let outcome = Arena::new(on, user).with(options).run("own-file", &[]);
                assert!(outcome.stopped(), "{on:?} {outcome:?}");
            }
        }
    }
}

/// Agreed with the hostile plugin; where it does not exist, an unsealed constructor does nothing.
const DIRECTORY: &str = "/tmp/migraine-constructor";

/// What the library's constructor got of one kind, as the matrix has it.
fn got(outcome: &migraine_tests::arena::Outcome, kind: &str) -> String {
    let line = outcome.out.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or(": no answer");
    let word = line.trim_start_matches(": ").trim_start_matches("refused ");
    if word.starts_with("worked") { "works".to_owned() } else { word.to_owned() }
}

#[test]
fn a094_a_constructor_gets_nothing() {
    let mut rows = Rows::of(94);
    fs::create_dir_all(DIRECTORY).unwrap();
    fs::set_permissions(DIRECTORY, fs::Permissions::from_mode(0o777)).unwrap();
    let removed = Removed;
    for &user in kernel::users() {
        let arena = |on| Arena::new(on, user).variable("MIGRAINE_TEST_SECRET", "of the host");
        for on in [On::All, On::Spaces] {
            let outcome = arena(on).with(&["--copy"]).run("constructor", &[]);
            assert!(outcome.out.contains("file: refused E"), "{on:?} {outcome:?}");
            assert!(outcome.out.contains("environment: refused"), "{on:?} {outcome:?}");
            assert_eq!(outcome.out.lines().count(), 2, "{on:?} {outcome:?}");
            // Other tests' unprotected constructors write here at the same time; sealed ones are pid 1.
            assert!(!Path::new(DIRECTORY).join("ran-1").exists());
        }
        let outcomes = COLUMNS.map(|on| arena(on).run("constructor", &[]));
        for (attack, kind) in
            [("make a file from .init_array", "file"), ("read secrets from .init_array", "environment")]
        {
            rows.layers(attack, user, &outcomes.each_ref().map(|outcome| got(outcome, kind)));
        }
        assert!(!Path::new(DIRECTORY).join("ran-1").exists());
        assert!(fs::read_dir(DIRECTORY).unwrap().count() > 0);
    }
    drop(removed);
    rows.settle();
}

/// A library whose resolver of an indirect function makes a file, by system calls alone: it runs before any constructor.
fn resolver(file: &str) -> Vec<u8> {
    let source = "
        static long make(void) {
            long number = 257, directory = -100, flags = 0101;
            register long mode __asm__(\"r10\") = 0666;
            __asm__ volatile(\"syscall\" : \"+a\"(number) : \"D\"(directory), \"S\"(\"FILE\"), \"d\"(flags), \"r\"(mode)
                             : \"rcx\", \"r11\", \"memory\");
            return number;
        }
        static void real(void) {}
        static void *resolve(void) { make(); return real; }
        void indirect(void) __attribute__((ifunc(\"resolve\")));
        void (*pointer)(void) = indirect;
    ";
    package::library(&source.replace("FILE", file))
}

#[test]
fn a094_a_resolver_gets_nothing() {
    let mut rows = Rows::of(94);
    for &user in kernel::users() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (library, place) = (directory.path().join("resolver.so"), directory.path().join("place"));
        fs::create_dir(&place).unwrap();
        user.give(&place);
        let file = place.join("file");
        fs::write(&library, resolver(file.to_str().unwrap())).unwrap();
        let outcomes = COLUMNS.map(|on| {
            let outcome = Arena::new(on, user).library(&library).run("hello", &[]);
            assert!(["not_a_plugin", "plugin_crashed"].contains(&outcome.word().as_str()), "{on:?} {outcome:?}");
            if fs::remove_file(&file).is_ok() { "works" } else { "nothing" }.to_owned()
        });
        rows.layers("make a file from a resolver", user, &outcomes);
    }
    rows.settle();
}

struct Removed;

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(DIRECTORY);
    }
}

// What the ELF check would have refused before; the worker must not take the host along.
#[test]
fn a100_damaged_libraries_harm_only_their_worker() {
    let bytes = fs::read(artifacts::library("hello-world")).unwrap();
    let directory = tempfile::Builder::new().tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.path().join("damaged.so");
    let mut damaged: Vec<Vec<u8>> = [0, 1, 63, 64, 1000, 4096, bytes.len() / 2, bytes.len() - 1]
        .iter()
        .map(|length| bytes[..*length].to_vec())
        .collect();
    // Spread over headers, symbols, relocations and code, by a fixed sequence.
    let mut state = 7usize;
    for _ in 0..125 {
        let mut copy = bytes.clone();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 20) % copy.len();
            copy[at] ^= 0x55;
        }
        damaged.push(copy);
    }
    for cut in &damaged[..8] {
        assert!(inspect(cut).is_err(), "{} bytes of {} pass the check before loading", cut.len(), bytes.len());
    }
    let ended = [
        "elf_invalid",
        "not_a_plugin",
        "abi_mismatch",
        "plugin_crashed",
        "plugin_exited",
        "plugin_failed",
        "limit_time",
    ];
    let mut rows = Rows::of(100);
    for &user in kernel::users() {
        let arena = Arena::new(On::All, user);
        for (index, bytes) in damaged.iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let outcome = arena.clone().library(&path).with(&["--wall", "1500"]).run("hello", &[]);
            let code = outcome.last().split(": ").next().unwrap_or_default();
            assert!(outcome.out == "Hello, World!\n" || ended.contains(&code), "damage {index}: {outcome:?}");
        }
        rows.design("bytes flipped and cut off", user, "ends alone");
    }
    rows.settle();
}

/// As the hostile plugin reads it: bytes with a mask over them, in hex.
fn masked(text: &str) -> String {
    text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
}

// The scan finds what is there, and nothing of the host or of a sibling is.
#[test]
fn a105_nothing_of_the_host_is_in_the_workers_memory() {
    let mut rows = Rows::of(105);
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
        rows.design("scan the memory", user, "ENOKEY");
    }
    rows.settle();
}
