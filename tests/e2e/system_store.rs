//! The administrator's store: everybody has what is in it, only root changes it, and what it may do for a user is that
//! user's to say.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel::{skip, users};
use migraine_tests::package::{Parcel, key, manifest, plugin, remade, tiny};
use migraine_tests::run::{PLAIN, User};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::dependencies::needing;

/// The directory `/var/lib` as some runs see it.
pub(super) struct Lib {
    folder: TempDir,
    /// The home of the one who installs for all.
    pub(super) root: Home,
}

impl Lib {
    /// Only root can show runs another `/var/lib`, and only root has such a store.
    pub(super) fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("the system store", "this is not root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { folder, root: Home::bare() })
    }

    /// One whose keyring trusts the kit's key.
    pub(super) fn trusting() -> Option<Self> {
        let lib = Self::new()?;
        lib.ok(&["key", "trust", &key().public().to_string(), "--scope", "*"]);
        Some(lib)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("migraine")
    }

    /// A run of a user of this home.
    pub(super) fn run(&self, home: &Home, args: &[&str]) -> Done {
        self.run_with(home, args, ":")
    }

    /// As [`Lib::run`], after a step of root's in the same view of the file system.
    pub(super) fn run_with(&self, home: &Home, args: &[&str], step: &str) -> Done {
        Done::of(self.command(home, args, step).stdin(Stdio::null()))
    }

    /// The same, to be started.
    pub(super) fn command(&self, home: &Home, args: &[&str], step: &str) -> Command {
        let product = home.command(args);
        let mut command = Command::new("unshare");
        let script = format!("set -e\nmount --bind \"$0\" /var/lib\n{step}\nexec \"$@\"");
        command.args(["--mount", "sh", "-c", &script]).arg(self.folder.path());
        command.arg(product.get_program()).args(product.get_args()).env_clear();
        command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(home.work());
        command
    }

    /// A run of root's with `--system`, which must succeed.
    pub(super) fn ok(&self, args: &[&str]) -> Done {
        let args: Vec<&str> = args.iter().copied().chain(["--system"]).collect();
        self.user_ok(&self.root, &args)
    }

    pub(super) fn install(&self, parcel: &Parcel) {
        self.ok(&["plugin", "install", parcel.typed(), "--yes"]).says(&["status     enabled"]);
    }

    pub(super) fn user_ok(&self, home: &Home, args: &[&str]) -> Done {
        let done = self.run(home, args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done
    }

    pub(super) fn json(&self, home: &Home, args: &[&str]) -> Value {
        let done = self.user_ok(home, &[&["--format", "json"], args].concat());
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {done:?}"))
    }

    pub(super) fn refused(&self, home: &Home, args: &[&str], code: &str) -> Value {
        let done = self.run(home, &[&["--format", "json"], args].concat());
        let last = done.err.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{args:?}: {error}: {done:?}"));
        assert_eq!((&error["code"], &error["exit"]), (&json!(code), &json!(done.code)), "{args:?}: {done:?}");
        error
    }

    pub(super) fn info(&self, home: &Home, name: &str) -> Value {
        self.json(home, &["plugin", "info", name])
    }

    pub(super) fn status(&self, home: &Home, name: &str) -> String {
        self.info(home, name)["status"].as_str().unwrap().to_owned()
    }
}

/// The paths below a directory with their modes, which must all be root's.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (0, 0), "{path:?}");
        found.push((path.clone(), metadata.mode() & 0o7777));
        if metadata.is_dir() {
            modes(&path, found);
        }
    }
}

/// A plugin with a command, a hook and these permissions.
pub(super) fn hooks(version: &str, permissions: &Value) -> Parcel {
    let hooks = json!([{"event": "post-command", "handler": "seen", "on_failure": "warn", "priority": 0}]);
    remade("hooks", &json!({"version": version, "permissions": permissions, "hooks": hooks}))
}

const WORKFLOW: &str = "name: w\nsteps: [{name: one, command: echo hi}]";

#[test]
fn root_installs_and_everybody_has_it() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hello-world"));
    lib.ok(&["plugin", "list"]).says(&["hello-world", "enabled"]);
    let mut found = Vec::new();
    modes(&lib.path(), &mut found);
    assert_eq!(fs::metadata(lib.path()).unwrap().mode() & 0o7777, 0o755);
    for (path, mode) in &found {
        let name = path.strip_prefix(lib.path()).unwrap().to_str().unwrap();
        let wanted = match name {
            "lock" | "reserve" => 0o600,
            _ if name.ends_with(".key") => 0o644,
            _ if path.is_file() => 0o444,
            _ if name.starts_with("store/") => 0o555,
            _ => 0o755,
        };
        assert_eq!(*mode, wanted, "{name}");
    }
    assert!(found.iter().any(|(path, _)| path.ends_with("state")) && found.len() > 8, "{found:?}");
    for &user in users() {
        let home = Home::of(user);
        let before = home.snapshot();
        lib.user_ok(&home, &["plugin", "list"]).says(&["hello-world", "enabled", "(system) ", "1 total, 1 enabled"]);
        let info = lib.info(&home, "hello-world");
        assert_eq!((&info["store"], &info["status"]), (&json!("system"), &json!("enabled")));
        lib.user_ok(&home, &["plugin", "info", "hello-world"]).says(&["the system's, /var/lib/migraine", "status"]);
        lib.user_ok(&home, &["plugin", "verify", "hello-world"]);
        lib.user_ok(&home, &["plugin", "audit", "hello-world"]);
        lib.user_ok(&home, &["plugin", "run", "hello-world", "hello"]).says(&["Hello"]);
        lib.user_ok(&home, &["plugin", "execute", "hello-world", "hello"]).says(&["Hello"]);
        assert_eq!(home.snapshot(), before, "nothing of it needs a state of the user's");
        // Switched off by one user, it runs for the others.
        lib.user_ok(&home, &["plugin", "disable", "hello-world"]).says(&["disabled successfully"]);
        lib.refused(&home, &["plugin", "run", "hello-world", "hello"], "plugin_disabled");
        assert_eq!(lib.status(&home, "hello-world"), "disabled");
        lib.user_ok(&Home::of(user), &["plugin", "run", "hello-world", "hello"]);
        lib.user_ok(&home, &["plugin", "enable", "hello-world"]);
        lib.user_ok(&home, &["plugin", "run", "hello-world", "hello"]).says(&["Hello"]);
    }
}

#[test]
fn only_root_changes_it() {
    let Some(lib) = Lib::trusting() else { return };
    let (parcel, none) = (plugin("hello-world"), lib.root.work());
    lib.install(&parcel);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    modes(&lib.path(), &mut before);
    for &user in users() {
        let home = Home::of(user);
        for line in [
            &["plugin", "uninstall", "hello-world"][..],
            &["plugin", "upgrade", "hello-world"],
            &["plugin", "rollback", "hello-world"],
            &["plugin", "pin", "hello-world"],
        ] {
            let error = lib.refused(&home, line, "system_store");
            let help = error["help"].as_str().unwrap();
            assert!(help.contains("migraine plugin disable hello-world") && help.contains("--system"), "{error}");
            assert_eq!(error["exit"], 6);
        }
        lib.user_ok(&home, &["plugin", "upgrade", "--all"]);
        if user == User::Root {
            continue;
        }
        for line in [
            &["plugin", "install", parcel.typed(), "--system"][..],
            &["plugin", "--system", "uninstall", "hello-world"],
            &["plugin", "disable", "hello-world", "--system"],
            &["key", "trust", &key().public().to_string(), "--scope", "*", "--system"],
        ] {
            let error = lib.refused(&home, line, "system_store");
            assert!(error["help"].as_str().unwrap().contains("without --system"), "{error}");
        }
    }
    modes(&lib.path(), &mut after);
    assert_eq!(before, after);
    for verb in
        [&["plugin", "run", "--system", "hello-world", "hello"][..], &["plugin", "link", typed(&none), "--system"]]
    {
        assert_eq!(lib.refused(&lib.root, verb, "usage")["exit"], 1);
    }
    lib.ok(&["plugin", "uninstall", "hello-world"]);
    lib.refused(&lib.root, &["plugin", "info", "hello-world"], "plugin_not_found");
}

fn typed(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_it_may_do_is_each_users_to_say() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&hooks("1.0.0", &json!(["task_read"])));
    for &user in users() {
        let (home, other) = (Home::of(user), Home::of(user));
        home.write("w.yaml", WORKFLOW);
        let hooks_called = |home: &Home| lib.json(home, &["run", "./w.yaml"])["hooks"].as_array().map_or(0, Vec::len);
        // What root agreed to, nobody else did.
        assert_eq!((lib.status(&home, "hooks"), hooks_called(&home)), ("installed".to_owned(), 0));
        assert_eq!(lib.info(&home, "hooks")["grants"], json!([]));
        lib.refused(&home, &["plugin", "run", "hooks", "notes"], "consent_required");
        lib.refused(&home, &["plugin", "enable", "hooks"], "consent_required");
        lib.user_ok(&home, &["plugin", "enable", "hooks", "--yes"]);
        assert_eq!(lib.info(&home, "hooks")["grants"], json!(["task_read"]));
        assert_eq!(hooks_called(&home), 1);
        lib.user_ok(&home, &["plugin", "run", "hooks", "notes"]).says(&["post-command"]);
        // Settings and data are the user's own as well.
        lib.user_ok(&home, &["plugin", "config", "hooks", "set", "number", "7"]);
        assert_eq!(lib.info(&home, "hooks")["config"]["number"], 7);
        assert_eq!(lib.info(&other, "hooks")["config"]["number"], 1);
        assert_eq!(lib.status(&other, "hooks"), "installed");
        assert!(home.path().join("data/plugins.db").exists() && !lib.path().join("data/plugins.db").exists());
        lib.user_ok(&home, &["plugin", "revoke", "hooks", "task_read"]).says(&["status   installed"]);
        assert_eq!(hooks_called(&home), 0);
        lib.user_ok(&home, &["plugin", "enable", "hooks", "--grant", "task_read"]);
        // What the user's own policy caps stays capped.
        let policy = home.path().join("policy.yaml");
        fs::write(&policy, "permissions: {task_read: false}").unwrap();
        home.own(&policy);
        let info = lib.info(&home, "hooks");
        assert!(!info["rules"]["capped"].as_array().unwrap().is_empty(), "{info}");
    }
    lib.ok(&["plugin", "config", "hooks", "set", "number", "3"]);
    let home = Home::of(User::Plain);
    assert_eq!(lib.info(&home, "hooks")["config"]["number"], 3, "the administrator's settings are where users begin");
    lib.ok(&["plugin", "disable", "hooks"]);
    let error = lib.refused(&home, &["plugin", "enable", "hooks", "--yes"], "plugin_disabled");
    assert!(error["help"].as_str().unwrap().contains("administrator"), "{error}");
}

#[test]
fn an_upgrade_widens_nothing() {
    let Some(lib) = Lib::trusting() else { return };
    let home = Home::of(User::Plain);
    home.write("w.yaml", WORKFLOW);
    lib.install(&hooks("1.0.0", &json!(["task_read"])));
    lib.user_ok(&home, &["plugin", "enable", "hooks", "--yes"]);
    lib.install(&hooks("1.1.0", &json!(["task_read"])));
    assert_eq!(lib.status(&home, "hooks"), "enabled", "it asks for nothing more");
    lib.ok(&["plugin", "install", hooks("1.2.0", &json!(["task_read", "task_write"])).typed(), "--yes"]);
    let info = lib.info(&home, "hooks");
    assert_eq!((&info["version"], &info["status"]), (&json!("1.2.0"), &json!("installed")));
    assert_eq!(info["grants"], json!(["task_read"]), "{info}");
    lib.refused(&home, &["plugin", "run", "hooks", "notes"], "consent_required");
    let report = lib.json(&home, &["run", "./w.yaml"]);
    assert!(report["hooks"].as_array().is_none_or(Vec::is_empty), "{report}");
    lib.refused(&home, &["plugin", "enable", "hooks"], "consent_required");
    lib.ok(&["plugin", "rollback", "hooks"]);
    assert_eq!(lib.status(&home, "hooks"), "enabled", "what was agreed to for that version");
    lib.install(&hooks("1.3.0", &json!(["task_read", "task_write"])));
    lib.user_ok(&home, &["plugin", "enable", "hooks", "--grant", "task_write"]);
    assert_eq!(lib.info(&home, "hooks")["grants"], json!(["task_read", "task_write"]));
    // Less for all: what the administrator takes back, nobody has.
    lib.ok(&["plugin", "revoke", "hooks", "task_write"]);
    assert_ne!(lib.status(&home, "hooks"), "enabled");
}

#[test]
fn another_makers_plugin_inherits_nothing() {
    let Some(lib) = Lib::trusting() else { return };
    let home = Home::of(User::Plain);
    lib.install(&hooks("1.0.0", &json!(["task_read"])));
    lib.user_ok(&home, &["plugin", "enable", "hooks", "--yes"]);
    lib.ok(&["plugin", "uninstall", "hooks"]);
    lib.install(&hooks("1.1.0", &json!(["task_read"])));
    assert_eq!(lib.status(&home, "hooks"), "enabled", "the same maker's");
    lib.ok(&["plugin", "uninstall", "hooks"]);
    // Without the signature beside it, nobody vouches for it.
    let unsigned = lib.root.work().join("libhooks.so");
    fs::copy(&hooks("2.0.0", &json!(["task_read"])).library, &unsigned).unwrap();
    lib.ok(&["plugin", "install", typed(&unsigned), "--allow-unsigned", "--yes"]);
    let info = lib.info(&home, "hooks");
    assert_eq!((&info["version"], &info["status"]), (&json!("2.0.0"), &json!("installed")));
    assert_eq!(info["grants"], json!([]), "{info}");
}

#[test]
fn the_users_own_plugin_hides_it() {
    let Some(lib) = Lib::trusting() else { return };
    let of = |version: &str| remade("hello-world", &json!({"version": version}));
    lib.install(&of("2.0.0"));
    for &user in users() {
        let home = Home::of(user);
        let own = of("1.0.0");
        lib.user_ok(&home, &["plugin", "install", own.typed(), "--yes"]).never_says(&["was 2.0.0"]);
        let info = lib.info(&home, "hello-world");
        assert_eq!(
            (&info["store"], &info["version"], &info["hides"]),
            (&json!("user"), &json!("1.0.0"), &json!("2.0.0"))
        );
        lib.user_ok(&home, &["plugin", "info", "hello-world"]).says(&["hides", "version 2.0.0 of the system store"]);
        lib.user_ok(&home, &["plugin", "list"]).says(&["1 total"]).never_says(&["2.0.0"]);
        lib.user_ok(&home, &["plugin", "run", "hello-world", "hello"]);
        lib.user_ok(&home, &["plugin", "uninstall", "hello-world"]);
        let info = lib.info(&home, "hello-world");
        assert_eq!((&info["store"], &info["version"]), (&json!("system"), &json!("2.0.0")));
        lib.user_ok(&home, &["plugin", "run", "hello-world", "hello"]);
    }
}

#[test]
fn what_it_has_is_not_missing() {
    let Some(lib) = Lib::trusting() else { return };
    let of = |name: &str, needs: &[&str]| needing(name, "1.0.0", needs);
    lib.install(&of("base", &[]));
    for &user in users() {
        let home = Home::of(user);
        let missing = |parcel: &Parcel| -> Vec<String> {
            let report = lib.json(&home, &["plugin", "audit", parcel.typed()]);
            let checks = report["checks"].as_array().unwrap().iter();
            let found = checks.filter(|found| found["rule"] == "dependency");
            found.map(|found| found["message"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(missing(&of("app", &["plugin:base ^1"])), [""; 0]);
        let expected = [
            "it needs the plugin base ^2, and 1.0.0 is installed",
            "it needs the plugin other *, which is not installed",
        ];
        assert_eq!(missing(&of("app", &["plugin:base ^2", "plugin:other"])), expected);
    }
}

#[test]
fn both_keyrings_count() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hello-world"));
    let (run, fingerprint) = (["plugin", "run", "hello-world", "hello"], key().public().fingerprint().to_string());
    for &user in users() {
        // The administrator's keys count for the administrator's plugins, and for nothing of the user's own.
        let stranger = Home::bare();
        let own = tiny(&manifest("own", &json!({})));
        lib.user_ok(&stranger, &run);
        lib.refused(&stranger, &["plugin", "install", own.typed(), "--yes"], "untrusted_key");
        let home = Home::of(user);
        let report = lib.json(&home, &["key", "revoke", &fingerprint]);
        assert_eq!(report[0]["stopped"], json!(["hello-world"]), "{report}");
        lib.refused(&home, &run, "key_revoked");
        lib.refused(&home, &["plugin", "verify", "hello-world"], "key_revoked");
        lib.user_ok(&home, &["key", "untrust", &fingerprint, "--forget-revocation"]);
        lib.user_ok(&home, &run);
        // A key that only the administrator knows can be revoked by its fingerprint.
        lib.json(&home, &["key", "revoke", &fingerprint]);
        lib.refused(&home, &run, "key_revoked");
    }
    let home = Home::of(User::Plain);
    lib.user_ok(&home, &run);
    lib.ok(&["key", "revoke", &fingerprint]);
    lib.refused(&home, &run, "key_revoked");
}

#[test]
fn one_that_is_not_roots_alone_is_not_used() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hello-world"));
    let run = ["plugin", "run", "hello-world", "hello"];
    let plain = PLAIN.to_string();
    let digest = fs::read_dir(lib.path().join("store")).unwrap().next().unwrap().unwrap().file_name();
    let tree = format!("/var/lib/migraine/store/{}", digest.to_str().unwrap());
    for &user in users() {
        let home = Home::of(user);
        lib.user_ok(&home, &["plugin", "install", tiny(&manifest("own", &json!({}))).typed(), "--yes"]);
        for (step, path) in [
            ("chown OWNER /var/lib/migraine", "/var/lib/migraine"),
            ("chmod o+w /var/lib/migraine", "/var/lib/migraine"),
            ("chown OWNER /var/lib/migraine/state", "/var/lib/migraine/state"),
            ("chmod g+w /var/lib/migraine/state", "/var/lib/migraine/state"),
            ("chown OWNER /var/lib", "/var/lib"),
            ("chmod o+w /var/lib", "/var/lib"),
            ("mv /var/lib/migraine /var/lib/real; ln -s real /var/lib/migraine", "/var/lib/migraine"),
        ] {
            let step = step.replace("OWNER", &plain);
            let undo = "chown 0 /var/lib /var/lib/migraine /var/lib/migraine/state; chmod 755 /var/lib /var/lib/migraine; \
                 chmod 444 /var/lib/migraine/state; \
                 if [ -d /var/lib/real ]; then rm /var/lib/migraine; mv /var/lib/real /var/lib/migraine; fi";
            let done = lib.run_with(&home, &["plugin", "list"], &step);
            let warning = format!("nothing of the system store is used: the system store: {path}: ");
            done.ends(0).says(&["own", "1 total", &warning]).never_says(&["hello-world"]);
            assert_eq!(done.err.matches("warning").count(), 1, "{done:?}");
            let report = lib.json(&home, &["plugin", "list"]);
            assert!(report["system_problem"].as_str().is_some_and(|why| why.contains(path)), "{step}: {report}");
            let done = lib.run(&home, &run);
            done.ends(2).says(&["plugin_not_found", &warning]);
            lib.run(&home, &["doctor"]).says(&["system store", path]);
            lib.run_with(&home, &run, undo).ends(0).says(&["Hello"]);
        }
        // What is found at the load of a tree is named as well.
        for (step, undo) in [
            (format!("chmod o+w {tree}"), format!("chmod 555 {tree}")),
            (format!("chown {plain} {tree}/index"), format!("chown 0 {tree}/index")),
            ("chmod o+w /var/lib/migraine/keys".to_owned(), "chmod 755 /var/lib/migraine/keys".to_owned()),
        ] {
            let done = lib.run_with(&home, &run, &step);
            done.ends(6).says(&["insecure_permissions", "/var/lib/migraine/"]);
            lib.run_with(&home, &run, &undo).ends(0);
        }
    }
}

#[test]
fn one_whose_files_are_gone_is_the_administrators_to_mend() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hooks"));
    for &user in users() {
        let home = Home::of(user);
        for line in [&["plugin", "list"][..], &["--format", "json", "plugin", "list"]] {
            lib.run_with(&home, line, ":").ends(0).never_says(&["tell the administrator"]);
            let gone = lib.run_with(&home, line, "mount -t tmpfs none /var/lib/migraine/store");
            gone.ends(0).says(&["error", "its files in the system store are gone", "tell the administrator"]);
        }
    }
}

#[test]
fn a_damaged_one_is_one_warning() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hello-world"));
    let state = lib.path().join("state");
    let text = fs::read(&state).unwrap();
    let home = Home::of(User::Plain);
    lib.user_ok(&home, &["plugin", "install", plugin("step-timer").typed(), "--yes"]);
    home.write("w.yaml", WORKFLOW);
    fs::write(&state, "no state").unwrap();
    for line in [&["plugin", "list"][..], &["run", "./w.yaml"]] {
        let done = lib.user_ok(&home, line);
        assert_eq!(done.err.matches("nothing of the system store is used").count(), 1, "{done:?}");
        done.says(&["/var/lib/migraine/state: the state file is damaged"]);
    }
    fs::write(&state, text).unwrap();
    lib.user_ok(&home, &["plugin", "list"]).never_says(&["warning"]).says(&["hello-world", "step-timer"]);
}
