//! What was decided about one maker's plugin was not decided about another's: a plugin that is installed is followed by its
//! maker's versions, and by those of somebody else only where the user named that key for this very plugin.

use std::fs;
use std::path::PathBuf;

use migraine_host::trust::{Rotation, SecretKey};
use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, key, manifest, other_key, remade, tiny, typed};
use migraine_tests::run::User;
use migraine_tests::terminal::converse;
use serde_json::json;

use super::signed::bare;

fn tt(version: &str, signer: &SecretKey) -> Parcel {
    tiny(&manifest("tt", &json!({"version": version, "commands": ["go"], "permissions": ["task_read"]}))).signed(signer)
}

fn print(key: &SecretKey) -> String {
    key.public().fingerprint().to_string()
}

fn trust(home: &Home, key: &SecretKey, scope: &str) {
    home.ok(&["key", "trust", &key.public().to_string(), "--scope", scope]);
}

/// Puts a plugin into the folder that upgrades are looked for in.
fn offer(home: &Home, parcel: &Parcel) -> PathBuf {
    let path = home
        .path()
        .join("plugins")
        .join(format!("{}.so", parcel.library.parent().unwrap().display()).replace('/', "-"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(&parcel.library, &path).unwrap();
    fs::copy(parcel.sidecar(), path.with_extension("so.sig")).unwrap();
    path
}

/// A home in which the kit's key made `tt`, which holds what it asks for, and another key is trusted for every name.
fn with_two_makers(user: User) -> Home {
    let home = bare(user);
    trust(&home, &key(), "tt");
    trust(&home, &other_key(), "*");
    home.ok(&["plugin", "install", tt("1.0.0", &key()).typed(), "--yes"]);
    home
}

#[test]
fn another_maker_does_not_take_an_installed_plugin_over() {
    let (theirs, next) = (tt("4.0.0", &other_key()), tt("1.1.0", &key()));
    for &user in users() {
        let mut home = with_two_makers(user);
        let (old, new) = (print(&key()), print(&other_key()));
        let error = home.refused(&["plugin", "install", theirs.typed(), "--yes"], "key_changed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&old) && message.contains(&new), "{error}");
        converse(&home, &["plugin", "install", theirs.typed()], &[], &[]).ends(6).never_says(&["[y/N]"]);
        home.refused(&["plugin", "install", theirs.typed(), "--dry-run"], "key_changed");
        home.refused(&["plugin", "install", theirs.typed(), "--trust-key", &new], "key_changed");
        offer(&home, &theirs);
        for verb in [&["plugin", "outdated"][..], &["plugin", "upgrade", "--all"], &["plugin", "upgrade", "tt"]] {
            home.ok(verb).says(&["key_changed", &old, &new]);
        }
        assert_eq!(home.json(&["plugin", "info", "tt"])["version"], "1.0.0");
        // The maker's own goes on as ever.
        offer(&home, &next);
        home.ok(&["plugin", "upgrade", "--all"]).says(&["1.1.0"]);
        assert_eq!(home.json(&["plugin", "info", "tt"])["grants"], json!(["task_read"]));
        // It is this check alone that stops it.
        home.leave_out("Maker");
        home.ok(&["plugin", "upgrade", "--all"]).says(&["4.0.0"]);
    }
}

#[test]
fn a_pin_is_not_undone_by_a_key_for_every_name() {
    let (first, theirs) = (tt("1.0.0", &key()), tt("2.0.0", &other_key()));
    for &user in users() {
        let home = bare(user);
        converse(
            &home,
            &["plugin", "install", first.typed(), "--yes"],
            &[],
            &[("Trust this key for tt? [y/N] ", "y\n")],
        )
        .ends(0);
        trust(&home, &other_key(), "*");
        offer(&home, &theirs);
        home.ok(&["plugin", "upgrade", "--all"]).says(&["key_changed"]);
        home.refused(&["plugin", "install", theirs.typed(), "--yes"], "key_changed");
        home.ok(&["plugin", "uninstall", "tt"]);
        home.refused(&["plugin", "install", theirs.typed(), "--yes"], "key_changed");
    }
}

#[test]
fn locks_and_bundles_bring_no_other_maker() {
    let (ours, theirs) = (tt("1.0.0", &key()), tt("4.0.0", &other_key()));
    let author = Home::bare();
    trust(&author, &other_key(), "*");
    author.ok(&["plugin", "install", theirs.typed(), "--yes"]);
    author.ok(&["plugin", "lock"]);
    author.ok(&["plugin", "bundle", "site.bundle"]);
    for &user in users() {
        let home = bare(user);
        trust(&home, &key(), "tt");
        trust(&home, &other_key(), "*");
        home.ok(&["plugin", "install", ours.typed(), "--yes"]);
        home.write_bytes("site.bundle", &fs::read(author.work().join("site.bundle")).unwrap());
        home.write("migraine.lock", &fs::read_to_string(author.work().join("migraine.lock")).unwrap());
        home.refused(&["plugin", "install", "--bundle", "site.bundle", "--yes"], "key_changed");
        let vendor = typed(theirs.library.parent().unwrap()).to_owned();
        let locked = ["plugin", "install", "--locked", "--yes", "--from", &vendor];
        home.refused(&locked, "key_changed");
        home.refused(&[&locked[..], &["--trust-locked-keys"]].concat(), "key_changed");
        assert_eq!(home.json(&["plugin", "info", "tt"])["version"], "1.0.0");
    }
}

#[test]
fn a_key_that_is_named_for_the_plugin_inherits_nothing() {
    let more = |version: &str| json!({"version": version, "hooks": [], "permissions": ["task_read", "env_vars=HOME"]});
    let (ours, theirs) = (remade("hooks", &more("1.0.0")), remade("hooks", &more("2.0.0")).signed(&other_key()));
    let later = remade("hooks", &more("1.5.0"));
    for &user in users() {
        let home = bare(user);
        trust(&home, &key(), "hooks");
        home.ok(&["plugin", "install", ours.typed(), "--yes"]);
        home.ok(&["plugin", "config", "hooks", "set", "number", "7"]);
        home.ok(&["plugin", "hooks", "put", "colour", "green"]);
        trust(&home, &other_key(), "hooks");
        offer(&home, &theirs);
        let (old, new) = (print(&key()), print(&other_key()));
        home.ok(&["plugin", "outdated"]).says(&["2.0.0", &old, &new]);
        // What it held is asked for anew, and until then nothing changes.
        let before = home.snapshot();
        let error = home.refused(&["plugin", "upgrade", "hooks"], "consent_required");
        let message = error["message"].as_str().unwrap();
        assert!([&old, &new, "--grant task_read"].iter().all(|part| message.contains(*part)), "{error}");
        assert_eq!(home.snapshot(), before);
        assert_eq!(home.ok(&["plugin", "hooks", "get", "colour"]).out, "green\n");
        let asked = converse(&home, &["plugin", "install", theirs.typed()], &[], &[("[y/N] ", "n\n")]);
        asked.ends(6).says(&["ANOTHER MAKER", &old[..40], &new[..40]]);
        home.ok(&["plugin", "upgrade", "hooks", "--yes"]).says(&["2.0.0", &old, &new, "setting `number`"]);
        assert_ne!(home.run(["plugin", "hooks", "get", "colour"]).out, "green\n");
        assert_eq!(home.json(&["plugin", "info", "hooks"])["config"]["number"], json!(1));
        // The one before is somebody else's now.
        home.ok(&["plugin", "hooks", "put", "colour", "red"]);
        home.ok(&["plugin", "rollback", "hooks", "--yes"]).says(&["1.0.0", &old, &new]);
        assert_eq!(home.ok(&["plugin", "hooks", "get", "colour"]).out, "green\n", "what it stored is its own again");
        home.ok(&["plugin", "install", later.typed(), "--allow-downgrade", "1.5.0"]).never_says(&[&new]);
    }
}

#[test]
fn what_nobody_signed_vouches_for_no_grants() {
    let signed = |version: &str| tt(version, &key());
    for &user in users() {
        let home = Home::of(user);
        home.ok(&["plugin", "install", signed("1.0.0").typed(), "--yes"]);
        let unsigned = signed("1.1.0").unsigned();
        home.refused(&["plugin", "install", unsigned.typed(), "--allow-unsigned"], "consent_required");
        home.ok(&["plugin", "install", unsigned.typed(), "--allow-unsigned", "--yes"]).says(&["is not signed now"]);
        // Their user named the bytes of both.
        let next = signed("1.2.0").unsigned();
        home.ok(&["plugin", "install", next.typed(), "--allow-unsigned"]);
        home.refused(&["plugin", "install", signed("1.3.0").typed()], "consent_required");
        home.ok(&["plugin", "install", signed("1.3.0").typed(), "--grant", "task_read"]);
    }
}

#[test]
fn what_nobody_signed_does_not_undo_a_pin() {
    let (first, next) = (tt("1.0.0", &key()), tt("1.2.0", &key()));
    let (unsigned, theirs) = (tt("1.1.0", &key()).unsigned(), tt("2.0.0", &other_key()));
    for &user in users() {
        let mut home = bare(user);
        let question = [("Trust this key for tt? [y/N] ", "y\n")];
        converse(&home, &["plugin", "install", first.typed(), "--yes"], &[], &question).ends(0);
        trust(&home, &other_key(), "*");
        home.ok(&["plugin", "install", unsigned.typed(), "--allow-unsigned", "--yes"]);
        let before = home.snapshot();
        let (old, new) = (print(&key()), print(&other_key()));
        let error = home.refused(&["plugin", "install", theirs.typed(), "--yes"], "key_changed");
        assert!([&old, &new].iter().all(|key| error["message"].as_str().unwrap().contains(*key)), "{error}");
        offer(&home, &theirs);
        home.ok(&["plugin", "upgrade", "--all", "--yes"]).says(&["key_changed"]);
        assert_eq!(home.json(&["plugin", "info", "tt"])["version"], "1.1.0");
        assert_eq!(home.snapshot().len(), before.len() + 2, "nothing but what was offered");
        home.refused(&["plugin", "install", next.typed()], "consent_required");
        // Who was pinned may follow, and so may whoever is named for this very plugin.
        home.ok(&["plugin", "install", next.typed(), "--yes"]).says(&["1.2.0"]);
        let again = tt("1.3.0", &key()).unsigned();
        home.ok(&["plugin", "install", again.typed(), "--allow-unsigned", "--yes"]);
        let keys = home.snapshot();
        trust(&home, &other_key(), "tt");
        home.refused(&["plugin", "install", theirs.typed()], "consent_required");
        home.ok(&["plugin", "install", theirs.typed(), "--yes"]).says(&["2.0.0", &new]);
        assert_ne!(home.snapshot(), keys);
        // It is this check alone that stops it.
        let home_again = bare(user);
        converse(&home_again, &["plugin", "install", first.typed(), "--yes"], &[], &question).ends(0);
        trust(&home_again, &other_key(), "*");
        home_again.ok(&["plugin", "install", unsigned.typed(), "--allow-unsigned", "--yes"]);
        home = home_again;
        home.leave_out("Maker");
        home.ok(&["plugin", "install", theirs.typed()]).says(&["2.0.0"]);
    }
}

/// Two keys of a user who also writes the statement by which the first hands over to the second.
struct Handing {
    home: Home,
    old: SecretKey,
    new: SecretKey,
}

impl Handing {
    fn of(user: User, scope: &str) -> Self {
        let home = bare(user);
        let (old, new) = (SecretKey::from_seed(&[41; 32]), SecretKey::from_seed(&[42; 32]));
        let path = home.write("old.key", &old.render_plain().unwrap());
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        home.write("new.pub", &new.public().render_pem().unwrap());
        home.ok(&["key", "rotate", "old.key", "new.pub", "--scope", scope, "--out", "handover"]);
        Self { home, old, new }
    }
}

#[test]
fn an_heir_inherits() {
    for &user in users() {
        let Handing { home, old, new } = Handing::of(user, "*");
        trust(&home, &old, "*");
        home.ok(&["plugin", "install", tt("1.0.0", &old).typed(), "--yes"]);
        home.ok(&["key", "import", "handover"]);
        home.ok(&["plugin", "install", tt("1.1.0", &new).typed()]);
        assert_eq!(home.json(&["plugin", "info", "tt"])["grants"], json!(["task_read"]));
    }
}

#[test]
fn an_heir_that_was_trusted_already_inherits() {
    for &user in users() {
        let Handing { home, old, new } = Handing::of(user, "tt");
        trust(&home, &old, "t*");
        trust(&home, &new, "*");
        home.ok(&["plugin", "install", tt("1.0.0", &old).typed(), "--yes"]);
        home.refused(&["plugin", "install", tt("1.1.0", &new).typed()], "key_changed");
        let report = home.json(&["key", "import", "handover"]);
        assert_eq!((&report["new"]["from"], &report["new"]["scope"]), (&json!("command"), &json!(["*", "tt"])));
        assert_eq!(report["new"]["handovers"][0]["old"], json!(print(&old)));
        home.ok(&["key", "list"]).says(&[&format!("took     tt over from {}", print(&old))]);
        home.ok(&["plugin", "install", tt("1.1.0", &new).typed()]);
        assert_eq!(home.json(&["plugin", "info", "tt"])["grants"], json!(["task_read"]));
        // The same again changes nothing, and trusting it for more takes nothing of that away.
        let before = home.snapshot();
        home.ok(&["key", "import", "handover"]);
        assert_eq!(home.snapshot(), before);
        trust(&home, &new, "more");
        home.ok(&["plugin", "install", tt("1.2.0", &new).typed()]).never_says(&[&print(&old)]);
        // For other names it is another maker.
        let other = |signer: &SecretKey, version: &str| {
            tiny(&manifest("tother", &json!({"version": version, "commands": ["go"]}))).signed(signer)
        };
        let other_home = Handing::of(user, "tt").home;
        trust(&other_home, &old, "t*");
        trust(&other_home, &new, "*");
        other_home.ok(&["plugin", "install", other(&old, "1.0.0").typed()]);
        other_home.ok(&["key", "import", "handover"]);
        other_home.refused(&["plugin", "install", other(&new, "1.1.0").typed()], "key_changed");
    }
}

// covers: A110, A119
#[test]
fn what_a_stolen_key_hands_over_goes_with_it() {
    let mine = |signer: &SecretKey| tiny(&manifest("mine-x", &json!({"commands": ["go"]}))).signed(signer);
    for &user in users() {
        // The thief's key is trusted for the thief's own plugins; the stolen one makes it anybody's.
        let Handing { home, old, new } = Handing::of(user, "*");
        trust(&home, &old, "*");
        trust(&home, &new, "mine-*");
        home.ok(&["key", "import", "handover"]);
        home.ok(&["plugin", "install", tt("1.0.0", &new).typed(), "--yes"]);
        home.ok(&["plugin", "install", mine(&new).typed()]);
        // Also where it is trusted for one thing more meanwhile.
        trust(&home, &new, "mine-more");
        home.ok(&["key", "revoke", &print(&old)]);
        home.refused(&["plugin", "verify", "tt"], "key_revoked");
        home.refused(&["plugin", "install", tt("1.1.0", &new).typed()], "key_revoked");
        home.ok(&["plugin", "list"]).says(&["tt is refused", "was revoked by you"]);
        home.ok(&["plugin", "verify", "mine-x"]);
    }
}

// covers: A119
#[test]
fn a_stolen_key_cannot_date_its_handover_back() {
    for &user in users() {
        let Handing { home, old, new } = Handing::of(user, "*");
        trust(&home, &old, "*");
        home.ok(&["plugin", "install", tt("1.0.0", &old).typed(), "--yes"]);
        let dated =
            Rotation::sign(&old, &new.public(), &["*".parse().unwrap()], "2026-01-02T03:04:05Z".parse().unwrap());
        home.write("handover", &dated.unwrap());
        home.ok(&["key", "import", "handover"]);
        home.ok(&["plugin", "install", tt("1.1.0", &new).typed()]);
        home.ok(&["key", "revoke", &print(&old), "--since", "2026-02-01"]);
        home.refused(&["plugin", "verify", "tt"], "key_revoked");
        home.refused(&["plugin", "install", tt("1.2.0", &new).typed()], "key_revoked");
    }
}

#[test]
fn a_rotation_names_no_plugin_for_its_user() {
    for &user in users() {
        // A key for every name hands over to one for exactly the name of somebody else's plugin.
        let Handing { home, old, new } = Handing::of(user, "tt");
        trust(&home, &old, "*");
        trust(&home, &key(), "tt");
        home.ok(&["plugin", "install", tt("1.0.0", &key()).typed(), "--yes"]);
        home.ok(&["key", "import", "handover"]);
        home.refused(&["plugin", "install", tt("2.0.0", &new).typed(), "--yes"], "key_changed");
        // Nor does it make a name known that looks like another one.
        let Handing { home, old, new } = Handing::of(user, "ttttl");
        trust(&home, &old, "*");
        let alike = |name: &str, signer| tiny(&manifest(name, &json!({"commands": ["go"]}))).signed(signer);
        home.ok(&["plugin", "install", alike("tttt1", &old).typed()]);
        home.ok(&["key", "import", "handover"]);
        home.refused(&["plugin", "install", alike("ttttl", &new).typed()], "name_lookalike");
        // A pinned key hands over a pin.
        let Handing { home, old, new } = Handing::of(user, "*");
        let question = [("Trust this key for tt? [y/N] ", "y\n")];
        let pinned = tt("1.0.0", &old);
        converse(&home, &["plugin", "install", pinned.typed(), "--yes"], &[], &question).ends(0);
        assert_eq!(home.json(&["key", "import", "handover"])["new"]["level"], "tofu");
        trust(&home, &other_key(), "*");
        home.ok(&["plugin", "uninstall", "tt"]);
        home.refused(&["plugin", "install", tt("1.1.0", &other_key()).typed()], "key_changed");
        home.ok(&["plugin", "install", tt("1.1.0", &new).typed(), "--yes"]);
    }
}
