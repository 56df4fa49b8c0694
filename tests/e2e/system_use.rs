//! The administrator's store while it is used and changed: what everybody can read of it, and who goes on with what.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::plugin;
use migraine_tests::run::User;
use serde_json::{Value, json};

use super::fetch::{AUTHORITY, Site, demo, run};
use super::system_store::Lib;

#[test]
fn nothing_that_may_be_secret_is_shown_to_everybody() {
    let Some(lib) = Lib::trusting() else { return };
    let site = Site::of(User::Root);
    let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
    let secret = url.replace("https://", "https://ann:pa55@") + "?token=s3cret";
    let authority = format!("export SSL_CERT_FILE={}", AUTHORITY.certificate().display());
    let ask = |home: &Home, args: &[&str]| lib.run_with(home, args, &authority);
    let done = ask(&lib.root, &["plugin", "install", &secret, "--yes", "--system"]);
    done.ends(0).says(&["its address is kept without the query", &url]).never_says(&["s3cret", "pa55"]);
    let state = || fs::read_to_string(lib.path().join("state")).unwrap();
    assert!(state().contains(&url) && !state().contains("s3cret") && !state().contains("pa55"), "{}", state());
    assert!(site.asked().iter().any(|path| path == "/demo.mgp?token=s3cret"), "{:?}", site.asked());
    for &user in users() {
        assert_eq!(lib.info(&Home::of(user), "demo")["url"], json!(url));
    }
    // What is there now is found by the address that was kept.
    site.put("/demo.mgp", &demo("demo", "1.1.0"));
    ask(&lib.root, &["plugin", "upgrade", "demo", "--system"]).ends(0).says(&["1.1.0"]);
    // A user's own state is nobody else's to read, and an upgrade may need the query.
    let own = site.put("/own.mgp", &demo("own", "1.0.0")) + "?token=s3cret";
    run(&site.home, &["plugin", "install", &own]).ends(0).never_says(&["without the query", "s3cret"]);
    assert!(fs::read_to_string(site.home.path().join("state")).unwrap().contains("?token=s3cret"));
}

#[test]
fn who_only_looks_or_fails_makes_nothing() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hello-world"));
    for &user in users() {
        let home = Home::of(user);
        fs::remove_dir_all(home.path()).unwrap();
        fs::set_permissions(home.path().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        for line in [
            &["plugin", "uninstall", "hello-world"][..],
            &["plugin", "uninstall", "hello-world", "--purge"],
            &["plugin", "uninstall", "none", "--force"],
            &["plugin", "unlink", "hello-world"],
            &["plugin", "forget", "hello-world", "--history"],
            &["plugin", "untrust-project", "."],
        ] {
            let done = lib.run(&home, line);
            assert!(done.code != 0 && done.err.starts_with("error["), "{line:?}: {done:?}");
        }
        for line in [&["plugin", "refresh"][..], &["plugin", "list"], &["plugin", "fsck", "--repair"], &["doctor"]] {
            lib.user_ok(&home, line);
        }
        lib.user_ok(&home, &["plugin", "run", "hello-world", "hello"]).says(&["Hello"]);
        assert!(!home.path().exists(), "{:?}", home.snapshot().keys());
        // What is written is made.
        lib.user_ok(&home, &["plugin", "disable", "hello-world"]);
        lib.user_ok(&home, &["plugin", "refresh"]).says(&["1 "]);
        assert_eq!(lib.status(&home, "hello-world"), "disabled");
    }
}

#[test]
fn whoever_sets_a_value_for_all_is_told_who_reads_it() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&super::system_store::hooks("1.0.0", &json!([])));
    let told = "every user of this machine can read this value";
    lib.ok(&["plugin", "config", "hooks", "set", "number", "3"]).says(&["configured successfully", told]);
    lib.ok(&["plugin", "config", "hooks", "get"]).never_says(&[told]);
    lib.ok(&["plugin", "config", "hooks", "unset", "number"]).never_says(&[told]);
    let set = ["plugin", "config", "hooks", "set", "number", "4"];
    let report: Value = lib.json(&lib.root, &[&set[..], &["--system"]].concat());
    assert_eq!(report["config"]["number"]["value"], 4);
    for &user in users() {
        lib.user_ok(&Home::of(user), &set).says(&["configured successfully"]).never_says(&[told]);
    }
}
