//! Plugins that need each other, and what comes of it.

use super::*;

fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

fn key(number: u8) -> Fingerprint {
    Fingerprint::of(&[number; 32])
}

fn found(version: &str, needs: &[&str]) -> Candidate {
    Candidate {
        version: version.parse().unwrap(),
        signer: Some(key(1)),
        stands_for: Vec::new(),
        needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
        place: Place::Found(0),
    }
}

fn installed(version: &str, needs: &[&str]) -> Candidate {
    Candidate { place: Place::Installed, ..found(version, needs) }
}

fn universe(plugins: &[(&str, Candidate)]) -> Universe {
    let mut universe = Universe::default();
    plugins.iter().for_each(|(plugin, candidate)| universe.add(&name(plugin), candidate.clone()));
    universe.forget_older();
    universe
}

fn solve(plugins: &[(&str, Candidate)], wanted: &[&str]) -> Result<Vec<String>, ResolveError> {
    let wanted = wanted.iter().map(|text| {
        let (plugin, version) = text.split_once(' ').map_or((*text, None), |(plugin, version)| (plugin, Some(version)));
        Wanted { name: name(plugin), version: version.map(|version| version.parse().unwrap()) }
    });
    let chosen = resolve(&universe(plugins), &wanted.collect::<Vec<_>>())?;
    Ok(chosen.into_iter().map(|one| format!("{} {}", one.name, one.version)).collect())
}

#[test]
fn what_is_needed_comes_first_and_in_its_newest_fitting_version() {
    let plugins = [
        ("app", found("1.0.0", &["log ^1", "net *"])),
        ("log", found("1.0.0", &[])),
        ("log", found("1.4.0", &["base ^1"])),
        ("log", found("2.0.0", &[])),
        ("log", found("1.5.0-rc.1", &[])),
        ("net", found("0.3.0", &["base >=1.1"])),
        ("base", found("1.0.0", &[])),
        ("base", found("1.2.0", &[])),
    ];
    assert_eq!(solve(&plugins, &["app 1.0.0"]).unwrap(), ["base 1.2.0", "log 1.4.0", "net 0.3.0", "app 1.0.0"]);
}

#[test]
fn what_is_installed_moves_only_when_it_must_and_never_back() {
    let log = |needs: &[&str]| ("log", found("1.9.0", needs));
    let have = ("log", installed("1.2.0", &[]));
    let ask = |need: &str| [("app", found("1.0.0", &[need])), have.clone(), log(&[]), ("log", found("1.0.0", &[]))];
    assert_eq!(solve(&ask("log ^1"), &["app 1.0.0"]).unwrap(), ["log 1.2.0", "app 1.0.0"]);
    assert_eq!(solve(&ask("log ^1.5"), &["app 1.0.0"]).unwrap(), ["log 1.9.0", "app 1.0.0"]);
    let error = solve(&ask("log =1.0.0"), &["app 1.0.0"]).unwrap_err();
    assert_eq!(error.code(), Code::DependencyConflict);
}

#[test]
fn a_conflict_is_explained_in_words() {
    let plugins = [
        ("app", found("1.0.0", &["log ^1", "net ^1"])),
        ("net", found("1.0.0", &["log ^2"])),
        ("log", found("1.0.0", &[])),
        ("log", found("2.0.0", &[])),
    ];
    let error = solve(&plugins, &["app 1.0.0"]).unwrap_err();
    assert_eq!(error.code(), Code::DependencyConflict);
    let text = error.to_string();
    for part in ["net", "log >=2.0.0, <3.0.0", "app"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    assert!(!text.contains("0.0.0 "), "{text}");
}

#[test]
fn who_signed_it_counts() {
    let of = |number, version: &str| Candidate { signer: Some(key(number)), ..found(version, &[]) };
    let app = |need: &str| ("app", found("1.0.0", &[need]));
    let other = format!("log * key={}", key(2));
    for (need, plugins, expected) in [
        ("log *", vec![of(1, "1.0.0"), of(2, "9.0.0")], Some("log 1.0.0")),
        (&other, vec![of(1, "9.0.0"), of(2, "1.0.0")], Some("log 1.0.0")),
        ("log *", vec![of(2, "1.0.0")], None),
        ("log *", vec![Candidate { signer: None, ..installed("1.0.0", &[]) }], None),
        ("log *", vec![Candidate { stands_for: vec![key(1)], ..of(3, "1.0.0") }], Some("log 1.0.0")),
        ("log *", vec![Candidate { signer: None, place: Place::Linked, ..found("1.0.0", &[]) }], Some("log 1.0.0")),
    ] {
        let mut all = vec![app(need)];
        all.extend(plugins.into_iter().map(|plugin| ("log", plugin)));
        match (solve(&all, &["app 1.0.0"]), expected) {
            (Ok(chosen), Some(expected)) => assert_eq!(chosen[0], expected, "{need}"),
            (Err(error), None) => {
                assert_eq!(error.code(), Code::DependencySource, "{error}");
                assert!(error.to_string().contains(&key(1).to_string()), "{error}");
            }
            (done, _) => panic!("{need}: {done:?}"),
        }
    }
}

#[test]
fn circles_are_refused_and_named() {
    let plugins = [
        ("app", found("1.0.0", &["b *"])),
        ("b", found("1.0.0", &["c *"])),
        ("c", found("1.0.0", &["d *"])),
        ("d", found("1.0.0", &["b *"])),
    ];
    let error = solve(&plugins, &["app 1.0.0"]).unwrap_err();
    assert_eq!(error.code(), Code::DependencyCycle);
    assert!(error.to_string().ends_with("b -> c -> d -> b"), "{error}");
}

#[test]
fn what_nobody_has_is_named_with_who_needs_it() {
    let error = solve(&[("app", found("1.0.0", &["log ^1 source=https://h/x.mgp"]))], &["app 1.0.0"]).unwrap_err();
    assert_eq!(error.code(), Code::DependencyMissing);
    assert!(error.to_string().starts_with("app needs the plugin log ^1"), "{error}");
    assert!(error.help().unwrap().contains("https://h/x.mgp"));
}

/// Numbers that no honest set has end in a refusal before the machine is kept busy.
#[test]
fn large_sets_are_refused() {
    let code = |plugins: &[(String, Candidate)], wanted: &str| {
        let plugins: Vec<_> = plugins.iter().map(|(plugin, one)| (plugin.as_str(), one.clone())).collect();
        solve(&plugins, &[wanted]).unwrap_err().code()
    };
    let link = |at: usize, last: usize| match at {
        at if at == last => found("1.0.0", &[]),
        at => found("1.0.0", &[&format!("p{} *", at + 1)]),
    };
    let chain = |length: usize| -> Vec<_> { (0..length).map(|at| (format!("p{at}"), link(at, length - 1))).collect() };
    assert_eq!(code(&chain(10_000), "p0 1.0.0"), Code::DependencyLimit);
    assert_eq!(code(&chain(DEPTH_MAX + 2), "p0 1.0.0"), Code::DependencyLimit);
    let fits: Vec<_> = chain(DEPTH_MAX + 1);
    let fits: Vec<_> = fits.iter().map(|(plugin, one)| (plugin.as_str(), one.clone())).collect();
    assert_eq!(solve(&fits, &["p0 1.0.0"]).unwrap().len(), DEPTH_MAX + 1);
    let versions = (0..=VERSIONS_MAX).map(|at| ("log".to_owned(), found(&format!("1.{at}.0"), &[])));
    let many: Vec<_> = versions.chain([("app".to_owned(), found("1.0.0", &["log *"]))]).collect();
    assert_eq!(code(&many, "app 1.0.0"), Code::DependencyLimit);
    // Every version of each plugin wants another version of all others than they want of it: a search without end.
    let (names, versions) = (12, 60);
    let mut knot = vec![(
        "app".to_owned(),
        found(
            "1.0.0",
            &(0..names).map(|at| format!("k{at} *")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(),
        ),
    )];
    for at in 0..names {
        for version in 0..versions {
            let others = (0..names).filter(|other| *other != at);
            let needs: Vec<String> = others
                .map(|other| format!("k{other} =1.{}.0", (version * 7 + at * 3 + other * 5 + 1) % versions))
                .collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            knot.push((format!("k{at}"), found(&format!("1.{version}.0"), &needs)));
        }
    }
    assert!(matches!(code(&knot, "app 1.0.0"), Code::DependencyLimit | Code::DependencyConflict));
}
