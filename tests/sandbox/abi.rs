//! The binary interface: what is not a plugin, what has another shape, and what has grown.

use abi_stable::abi_stability::StableAbi as _;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use migraine_host::package::elf::inspect;
use migraine_plugin_api::abi;
use migraine_tests::arena::{Arena, On};
use migraine_tests::artifacts;
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;

fn refused(arena: &Arena, fixture: &str, code: &str, says: &[&str]) -> String {
    let outcome = arena.clone().library(artifacts::library(fixture)).run("hello", &[]);
    let last = outcome.last();
    assert_eq!(outcome.out.lines().count(), 1, "one readable line: {outcome:?}");
    assert!(last.starts_with(&format!("{code}: ")), "{fixture}: {outcome:?}");
    assert!(says.iter().all(|word| last.contains(word)), "{fixture} does not say {says:?}: {last}");
    assert!(last.len() < 300, "{fixture}: {last}");
    assert_eq!(outcome.code, 3, "{fixture}: {outcome:?}");
    outcome.err
}

// A103
#[test]
fn misfits_are_refused_in_one_line() {
    everywhere(|arena, _| {
        refused(arena, "no-root", "not_a_plugin", &["exports no root module"]);
        refused(arena, "no-layout", "abi_mismatch", &["no layout", "migraine-plugin-api 1.0"]);
        refused(arena, "newer-api", "abi_mismatch", &["API 1.99", "API 1.0 to 1.0", "newer migraine"]);
        let trace = refused(arena, "other-abi", "abi_mismatch", &["API 1.0", "rebuild the plugin"]);
        assert!(trace.contains("PluginModule"), "the trace is for --verbose: {trace:.500}");
    });
}

// A99, A100: what the ELF check would have refused before; the worker must not take the host along.
#[test]
fn damaged_libraries_harm_only_their_worker() {
    let bytes = std::fs::read(artifacts::library("hello-world")).unwrap();
    let directory = tempfile::Builder::new().tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    let path = directory.path().join("damaged.so");
    let mut damaged: Vec<Vec<u8>> = [0, 1, 63, 64, 1000, 4096, bytes.len() / 2, bytes.len() - 1]
        .iter()
        .map(|length| bytes[..*length].to_vec())
        .collect();
    // Spread over headers, symbols, relocations and code, by a fixed sequence.
    let mut state = 7usize;
    for _ in 0..40 {
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
    let Some(&user) = kernel::users().first() else { return };
    let arena = Arena::new(On::All, user);
    for (index, bytes) in damaged.iter().enumerate() {
        std::fs::write(&path, bytes).unwrap();
        let outcome = arena.clone().library(&path).with(&["--wall", "1500"]).run("hello", &[]);
        let code = outcome.last().split(": ").next().unwrap_or_default();
        let ended = [
            "elf_invalid",
            "not_a_plugin",
            "abi_mismatch",
            "plugin_crashed",
            "plugin_exited",
            "plugin_failed",
            "limit_time",
        ];
        assert!(outcome.out == "Hello, World!\n" || ended.contains(&code), "damage {index}: {outcome:?}");
    }
}

#[test]
fn an_interface_that_has_grown_loads() {
    everywhere(|arena, _| {
        let outcome = arena.clone().library(artifacts::library("grown")).run("hello", &[]);
        assert_eq!((outcome.code, outcome.out.as_str()), (0, "hello from a grown interface\n"), "{outcome:?}");
    });
}

// An old plugin on a grown host: abi_stable's own check refuses it, so the loader asks the other way round.
#[test]
fn one_direction_of_the_check_is_not_enough() {
    let (today, grown) = (abi::RootModule_Ref::LAYOUT, grown::RootModule_Ref::LAYOUT);
    assert!(check_layout_compatibility(today, grown).is_ok(), "a grown plugin on today's host");
    assert!(
        check_layout_compatibility(grown, today).is_err(),
        "today's plugin on a grown host, asked in one direction"
    );
    assert!(check_layout_compatibility(today, today).is_ok());
}
