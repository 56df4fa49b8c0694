//! Who a worker is, as the host sees it, and that the host itself never has the plugin mapped.

use std::collections::BTreeMap;

use migraine_tests::arena::{Arena, On, Outcome};
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;
use migraine_tests::matrix::{COLUMNS, Rows};
use migraine_tests::run::User;

fn status(outcome: &Outcome) -> BTreeMap<&str, String> {
    let lines = outcome.out.lines().filter_map(|line| line.split_once(":\t"));
    lines.map(|(name, value)| (name, value.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

fn part<'a>(outcome: &'a Outcome, from: &str, to: &str) -> &'a str {
    let after = outcome.out.split_once(from).expect("the part is printed").1;
    after.split_once(to).map_or(after, |(before, _)| before)
}

#[test]
fn a028_a_worker_has_no_rights() {
    everywhere(|arena, user| {
        let outcome = arena.clone().with(&["--facts"]).run("quiet", &[]);
        let status = status(&outcome);
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set}");
        }
        assert_eq!(status["NoNewPrivs"], "1");
        assert_eq!(status["Seccomp"], "2");
        assert_eq!(status["Threads"], "1");
        // As supplementary groups go, there are none beside the plain user's own.
        assert!(status["Groups"].is_empty(), "{}", status["Groups"]);
        for ids in ["Uid", "Gid"] {
            let numbers: Vec<&str> = status[ids].split(' ').collect();
            assert!(numbers.iter().all(|id| *id == numbers[0] && *id != "0"), "{ids} {numbers:?} as {user:?}");
            if user == User::Root {
                let id: u32 = numbers[0].parse().unwrap();
                assert!((61184..=65519).contains(&id), "{ids} {id} is not an id of its own");
            }
        }
        // The last number is the pid in the worker's own namespace.
        assert!(status["NSpid"].ends_with(" 1"), "{}", status["NSpid"]);
    });
}

/// As the matrix has it: nothing that a worker could use to become more than it is.
fn rights(outcome: &Outcome) -> String {
    let status = status(outcome);
    let bounded = status["CapEff"].trim_matches('0').is_empty() && status["CapBnd"].trim_matches('0').is_empty();
    let held = bounded && status["NoNewPrivs"] == "1" && !status["Uid"].starts_with("0 ");
    if held { "no rights" } else { "works" }.to_owned()
}

#[test]
fn a028_the_comparison_is_in_the_matrix() {
    let mut rows = Rows::of(28);
    for &user in kernel::users() {
        let outcomes = COLUMNS.map(|on| rights(&Arena::new(on, user).with(&["--facts"]).run("quiet", &[])));
        rows.layers("look at its own status", user, &outcomes);
    }
    rows.settle();
}

#[test]
fn the_comparison_sees_rights_where_there_are_some() {
    let Some(&user) = kernel::users().first() else { return };
    let outcome = Arena::new(On::Nothing, user).with(&["--facts"]).run("quiet", &[]);
    let status = status(&outcome);
    assert_eq!((status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()), ("0", "0"));
    if user == User::Root {
        assert_ne!(status["CapEff"], "0000000000000000");
        assert!(status["Uid"].starts_with('0'));
    }
}

#[test]
fn every_layer_is_reported_and_tried() {
    everywhere(|arena, _| {
        let outcome = arena.clone().with(&["--facts"]).run("quiet", &[]);
        let line = outcome.out.lines().find_map(|line| line.strip_prefix("seal: ")).expect("a seal");
        let seal: serde_json::Value = serde_json::from_str(line).unwrap();
        let layers = seal["layers"].as_object().unwrap();
        assert!(layers.len() == 5 && layers.values().all(|on| on == true), "{line}");
        assert!(seal["landlock_abi"].as_u64().unwrap() >= 3, "{line}");
        assert!(seal["probes"].as_array().unwrap().len() >= 10, "{line}");
    });
}

// What the library's file looks like in a list of mappings is seen in the worker first.
#[test]
fn a094_the_host_never_maps_the_plugin() {
    for &user in kernel::users() {
        let open = Arena::new(On::Nothing, user).with(&["--facts"]).run("quiet", &[]);
        assert!(part(&open, "worker maps:", "host maps:").contains("memfd:migraine-plugin"), "{open:?}");
        assert!(!part(&open, "host maps:", "never").contains("migraine-plugin"), "{open:?}");
        for (options, name) in [(&["--facts"][..], "memfd:migraine-plugin"), (&["--facts", "--copy"], "library.so")] {
            let sealed = Arena::new(On::All, user).with(options).run("quiet", &[]);
            if user == User::Root {
                assert!(part(&sealed, "worker maps:", "host maps:").contains(name), "{sealed:?}");
            }
            let host = part(&sealed, "host maps:", "never");
            assert!(host.contains("arena") && !host.contains(name) && !host.contains("hostile"), "{host}");
        }
    }
}
