//! Plugins under development are linked to files of their user's, shown as such, and run as they were confirmed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{plugin, typed};
use serde_json::json;

const SCRIPT: &str =
    "name: dev\nversion: 1.0.0\ncommands:\n  - {name: go, handler: {type: bash, script: 'echo ONE'}}\n";

/// A library of the user's own, without its signature.
fn own(home: &Home, package: &str) -> PathBuf {
    let path = home.write("build/libhello.so", "");
    fs::copy(plugin(package).library, &path).unwrap();
    home.own(&path);
    path
}

// covers: S278
#[test]
fn a_link_runs_what_was_confirmed_and_says_what_it_is() {
    for &user in users() {
        let home = Home::of(user);
        let path = home.write("dev/plugin.yaml", SCRIPT);
        home.ok(&["plugin", "link", "dev"]).says(&["Plugin 'dev' linked", "unsigned", "nobody vouches"]);
        for _ in 0..2 {
            let done = home.ok(&["plugin", "dev", "go"]);
            assert_eq!(done.out, "ONE\n");
            done.says(&["linked to", "not signed"]);
        }
        home.ok(&["plugin", "list"]).says(&["(linked, unsigned)"]);
        let info = home.json(&["plugin", "info", "dev"]);
        assert_eq!((&info["signature"]["kind"], &info["status"]), (&json!("unsigned"), &json!("enabled")));
        assert_eq!(info["link"], typed(path.parent().unwrap()));
        // Other content runs only once it was confirmed.
        fs::write(&path, SCRIPT.replace("ONE", "TWO")).unwrap();
        let error = home.refused(&["plugin", "dev", "go"], "link_changed");
        assert!(error["help"].as_str().unwrap().contains("migraine plugin link "), "{error}");
        home.ok(&["plugin", "refresh"]).says(&["dev is linked to", "not what was confirmed"]);
        home.write("w.yaml", "steps: [{command: 'true'}]");
        let again = home.json(&["plugin", "link", "dev"]);
        assert!(again["before"].is_string(), "{again}");
        assert_eq!(home.ok(&["plugin", "dev", "go"]).out, "TWO\n");
        // What asks for more asks again.
        fs::write(&path, SCRIPT.to_owned() + "permissions: [task_read]\n").unwrap();
        home.refused(&["plugin", "link", "dev"], "consent_required");
        home.refused(&["plugin", "dev", "go"], "link_changed");
        home.ok(&["plugin", "link", "dev", "--yes"]);
        home.ok(&["plugin", "unlink", "dev"]);
        home.refused(&["plugin", "dev", "go"], "plugin_not_found");
        assert!(path.exists());
        home.refused(&["plugin", "unlink", "dev"], "plugin_not_found");
    }
}

#[test]
fn a_link_is_to_files_of_ones_own_and_to_no_package() {
    for &user in users() {
        let home = Home::of(user);
        let path = own(&home, "hello-world");
        for mode in [0o666, 0o664] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            home.refused(&["plugin", "link", typed(&path)], "insecure_permissions");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let parcel = plugin("hello-world");
        home.refused(&["plugin", "link", typed(&parcel.package())], "format");
        if user == migraine_tests::run::User::Plain && nix::unistd::geteuid().is_root() {
            home.refused(&["plugin", "link", parcel.typed()], "insecure_permissions");
        }
        home.ok(&["plugin", "link", typed(&path)]);
        home.ok(&["plugin", "run", "hello-world", "hello"]);
        // An installed plugin takes its place only when the user says so, and the other way round.
        home.refused(&["plugin", "install", parcel.typed()], "link_taken");
        home.ok(&["plugin", "unlink", "hello-world"]);
        home.ok(&["plugin", "install", parcel.typed()]);
        home.refused(&["plugin", "link", typed(&path)], "link_taken");
        home.refused(&["plugin", "unlink", "hello-world"], "value_invalid");
    }
}

#[test]
fn a_policy_that_wants_signatures_allows_no_link() {
    let home = Home::new();
    let path = own(&home, "hello-world");
    let policy = home.path().join("policy.yaml");
    let forbid = || {
        fs::write(&policy, "require_signatures: always\n").unwrap();
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
    };
    forbid();
    home.refused(&["plugin", "link", typed(&path)], "policy_refused");
    fs::remove_file(&policy).unwrap();
    home.ok(&["plugin", "link", typed(&path)]);
    forbid();
    home.refused(&["plugin", "run", "hello-world", "hello"], "policy_refused");
}

// covers: A121
#[test]
fn nothing_in_a_project_links_anything() {
    let home = Home::new();
    home.write(".migraine/links", "dev: ./dev\n");
    home.write(".migraine/config", "link: [dev]\nallow_unsigned: true\n");
    home.write("dev/plugin.yaml", SCRIPT);
    home.write("plugins/dev/plugin.yaml", SCRIPT);
    home.refused(&["plugin", "dev", "go"], "plugin_not_found");
    assert_eq!(home.json(&["plugin", "list"])["summary"]["total"], 0);
}
