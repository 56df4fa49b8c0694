//! The binary interface: what is not a plugin, what has another shape, and what has grown.

use abi_stable::abi_stability::StableAbi as _;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use migraine_plugin_api::abi;
use migraine_tests::arena::{Arena, On};
use migraine_tests::artifacts;
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};

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

#[test]
fn a103_misfits_are_refused_in_one_line() {
    everywhere(|arena, _| {
        refused(arena, "no-root", "not_a_plugin", &["exports no root module"]);
        refused(arena, "no-layout", "abi_mismatch", &["no layout", "migraine-plugin-api 1.0"]);
        refused(arena, "newer-api", "abi_mismatch", &["API 1.99", "API 1.0 to 1.0", "newer migraine"]);
        let trace = refused(arena, "other-abi", "abi_mismatch", &["API 1.0", "rebuild the plugin"]);
        assert!(trace.contains("PluginModule"), "the trace is for --verbose: {trace:.500}");
    });
    let mut rows = Rows::of(103);
    for &user in kernel::users() {
        let newer = Arena::new(On::All, user).library(artifacts::library("newer-api"));
        let (refused, loaded) = (newer.run("hello", &[]), newer.clone().without("Interface").run("hello", &[]));
        let is_called = loaded.last().contains("this must never have been called");
        let without = if is_called { WORKS.to_owned() } else { loaded.word() };
        rows.host("a newer interface", user, &refused.word(), "without Interface", &without);
        for fixture in ["no-root", "no-layout", "other-abi"] {
            let refused = Arena::new(On::All, user).library(artifacts::library(fixture)).run("hello", &[]);
            rows.design(fixture, user, &refused.word());
        }
    }
    rows.settle();
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
