//! What a plugin stored stays its maker's: another one's plugin of the same name never sees it.

use migraine_host::trust::SecretKey;
use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, key, other_key, remade};
use serde_json::json;

use super::keys::private;
use super::system_store::Lib;

const GET: [&str; 5] = ["plugin", "run", "hooks", "get", "colour"];
const PUT: [&str; 6] = ["plugin", "run", "hooks", "put", "colour", "green"];

fn hooks(version: &str) -> Parcel {
    remade("hooks", &json!({"version": version, "hooks": [], "permissions": []}))
}

fn trust<'a>(key: &'a str, scope: &'a str) -> [&'a str; 5] {
    ["key", "trust", key, "--scope", scope]
}

#[test]
fn another_makers_plugin_gets_nothing_of_what_was_stored() {
    for &user in users() {
        let home = Home::of(user);
        let keeps = || {
            home.ok(&GET).says(&["green"]);
        };
        let has_none = || {
            home.run(GET).ends(5).says(&["nothing is kept under `colour`"]);
        };
        home.install(&hooks("1.0.0"));
        home.ok(&PUT);
        home.install(&hooks("1.1.0"));
        keeps();
        home.ok(&["plugin", "uninstall", "hooks"]);
        home.ok(&trust(&other_key().public().to_string(), "hooks"));
        home.install(&hooks("1.2.0").signed(&other_key()));
        has_none();
        home.ok(&["plugin", "run", "hooks", "put", "colour", "red"]);
        home.ok(&["plugin", "uninstall", "hooks"]);
        let unsigned = hooks("1.3.0").unsigned();
        home.ok(&["plugin", "install", unsigned.typed(), "--allow-unsigned", "--yes"]);
        has_none();
        home.ok(&["plugin", "uninstall", "hooks"]);
        home.install(&hooks("1.4.0"));
        keeps();
        // It is all of that name that goes.
        home.ok(&["plugin", "uninstall", "hooks", "--purge"]);
        home.install(&hooks("1.4.0"));
        has_none();
        home.ok(&["plugin", "uninstall", "hooks"]);
        home.install(&hooks("1.5.0").signed(&other_key()));
        has_none();
    }
}

#[test]
fn what_is_the_same_makers_goes_on() {
    for &user in users() {
        let home = Home::of(user);
        // A build without a signature, then the one that is signed in its place.
        home.ok(&["plugin", "install", hooks("1.0.0").unsigned().typed(), "--allow-unsigned", "--yes"]);
        home.ok(&PUT);
        home.ok(&["plugin", "install", hooks("1.0.1").unsigned().typed(), "--allow-unsigned", "--yes"]);
        home.ok(&GET).says(&["green"]);
        home.install(&hooks("1.1.0"));
        home.ok(&GET).says(&["green"]);
        home.ok(&["plugin", "install", hooks("1.1.1").unsigned().typed(), "--allow-unsigned", "--yes"]);
        home.ok(&GET).says(&["green"]);
        home.install(&hooks("1.1.2"));
        home.ok(&GET).says(&["green"]);
        // A key that takes the place of another.
        let new = SecretKey::from_seed(&[22; 32]);
        private(&home, "old.key", &key().render_plain().unwrap());
        home.write("new.pub", &new.public().render_pem().unwrap());
        home.ok(&["key", "rotate", "old.key", "new.pub", "--scope", "*", "--out", "handover"]);
        home.ok(&["key", "import", "handover"]);
        home.install(&hooks("1.2.0").signed(&new));
        home.ok(&GET).says(&["green"]);
    }
}

#[test]
fn the_same_holds_in_the_system_store() {
    let Some(lib) = Lib::trusting() else { return };
    lib.ok(&trust(&other_key().public().to_string(), "*"));
    let homes: Vec<Home> = users().iter().map(|&user| Home::of(user)).collect();
    let each = |args: &[&str], code: i32, words: &str| {
        for home in &homes {
            lib.run(home, args).ends(code).says(&[words]);
        }
    };
    lib.install(&hooks("1.0.0"));
    each(&PUT, 0, "");
    lib.install(&hooks("1.1.0"));
    each(&GET, 0, "green");
    let uninstall = || lib.ok(&["plugin", "uninstall", "hooks"]);
    uninstall();
    lib.install(&hooks("1.2.0").signed(&other_key()));
    each(&GET, 5, "nothing is kept under `colour`");
    uninstall();
    for version in ["1.3.0", "1.4.0"] {
        // Each is an exception of the administrator's for its bytes.
        let unsigned = hooks(version).unsigned();
        lib.ok(&["plugin", "install", unsigned.typed(), "--allow-unsigned", "--yes"]);
        each(&GET, 5, "nothing is kept under `colour`");
        each(&PUT, 0, "");
        each(&GET, 0, "green");
        uninstall();
    }
    // In whichever store the same maker's plugin is.
    for home in &homes {
        lib.user_ok(home, &["plugin", "install", hooks("1.5.0").typed(), "--yes"]);
        lib.user_ok(home, &GET).says(&["green"]);
    }
}
