//! Versions: never back and never changed in silence, one version is kept to go back to, and newer ones are found where a
//! plugin came from.

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, manifest, tiny};
use serde_json::json;

/// A plugin of this version, which nobody can call.
fn version(version: &str) -> Parcel {
    tiny(&manifest("demo", &json!({"version": version})))
}

fn install<'a>(parcel: &'a Parcel, more: &[&'a str]) -> Vec<&'a str> {
    [&["plugin", "install", parcel.typed()], more].concat()
}

// covers: A157
#[test]
fn a157_offer_an_older_version_under_a_name_that_means_the_newest() {
    let (old, new) = (version("1.0.0"), version("1.1.0"));
    for user in users() {
        let mut home = Home::of(*user);
        let latest = |from: &Parcel| {
            for (file, name) in [(&from.library, "latest.so"), (&from.sidecar(), "latest.so.sig")] {
                std::fs::copy(file, home.work().join(name)).unwrap();
            }
        };
        latest(&new);
        home.ok(&["plugin", "install", "latest.so"]);
        latest(&old);
        let before = home.snapshot();
        for more in [&["--yes"][..], &["--allow-unsigned"], &["--allow-downgrade", "1.1.0"], &["--allow-reuse", "1.0.0"]] {
            home.refused(&[&["plugin", "install", "latest.so"], more].concat(), "version_rollback");
        }
        assert_eq!(home.snapshot(), before);
        home.leave_out("Rollback");
        home.ok(&["plugin", "install", "latest.so"]).says(&["version    1.0.0 (was 1.1.0)"]);
    }
}

// covers: A158
#[test]
fn a158_offer_an_older_version_once_the_newer_one_is_gone() {
    let (old, new, other) = (version("1.0.0"), version("2.0.0"), version("1.5.0"));
    for user in users() {
        let mut home = Home::of(*user);
        home.ok(&install(&new, &[]));
        for purge in [&["plugin", "uninstall", "demo"][..], &["plugin", "uninstall", "demo", "--purge"]] {
            home.ok(purge);
            let error = home.refused(&install(&old, &[]), "version_rollback");
            assert!(error["message"].as_str().unwrap().contains("2.0.0, which was installed before"), "{error}");
            assert!(error["help"].as_str().unwrap().contains("--allow-downgrade 1.0.0"), "{error}");
            // Whoever is asked for one version does not get another.
            home.refused(&install(&other, &["--allow-downgrade", "1.0.0"]), "version_rollback");
            home.ok(&install(&new, &[]));
        }
        home.ok(&["plugin", "uninstall", "demo"]);
        home.leave_out("Rollback");
        home.ok(&install(&old, &[]));
        home.ok(&["plugin", "uninstall", "demo"]);
        home.leave_out("");
        home.ok(&install(&old, &["--allow-downgrade", "1.0.0"]));
        // It was said of that version alone, and the newest is still known.
        home.refused(&install(&other, &[]), "version_rollback");
        home.ok(&["plugin", "uninstall", "demo"]);
        home.ok(&["plugin", "forget", "demo", "--history"]).says(&["newest     2.0.0"]);
        home.ok(&install(&old, &[]));
        home.refused(&["plugin", "forget", "nobody", "--history"], "plugin_not_found");
    }
}

// covers: A171
#[test]
fn a171_give_a_version_another_content() {
    let first = version("1.0.0");
    let second = tiny(&manifest("demo", &json!({"description": "Does other things"})));
    for user in users() {
        let mut home = Home::of(*user);
        home.ok(&install(&first, &[]));
        let before = home.snapshot();
        for parcel in [second.typed().to_owned(), second.package().to_str().unwrap().to_owned()] {
            for more in [&["--yes"][..], &["--allow-downgrade", "1.0.0"], &["--allow-reuse", "1.0.1"]] {
                home.refused(&[&["plugin", "install", &parcel], more].concat(), "version_reused");
            }
        }
        assert_eq!(home.snapshot(), before);
        home.ok(&["plugin", "uninstall", "demo", "--purge"]);
        home.refused(&install(&second, &[]), "version_reused");
        home.leave_out("Reuse");
        home.ok(&install(&second, &[]));
        home.leave_out("");
        // The author says so, and from then on this is what counts.
        home.ok(&install(&first, &["--allow-reuse", "1.0.0"]));
        home.refused(&install(&second, &[]), "version_reused");
        // The same library in a package is the same version.
        home.ok(&["plugin", "install", first.package().to_str().unwrap()]);
    }
}

#[test]
fn what_nobody_signed_can_change_while_it_is_developed() {
    let home = Home::new();
    let first = version("1.0.0").unsigned();
    let second = tiny(&manifest("demo", &json!({"description": "Does other things"}))).unsigned();
    home.ok(&install(&first, &["--allow-unsigned"]));
    // Each time for these very bytes.
    home.refused(&install(&second, &[]), "signature_missing");
    home.ok(&install(&second, &["--allow-unsigned"]));
    // Without a signature, nobody vouches for the number: it blocks no signed version.
    home.ok(&install(&tiny(&manifest("demo", &json!({"version": "9.0.0"}))).unsigned(), &["--allow-unsigned"]));
    home.ok(&["plugin", "uninstall", "demo"]);
    home.ok(&install(&version("1.0.0"), &[]));
    // But an old version does not come back by it.
    home.ok(&install(&version("2.0.0"), &[]));
    home.refused(&install(&first, &["--allow-unsigned"]), "version_rollback");
}
