//! The verbs on a throw-away home, with real libraries.

use std::fs;
use std::path::{Path, PathBuf};

mod directories;

use migraine_plugin_api::Timeout;

use super::*;
use crate::code::{Code, Coded as _};
use crate::ids::{Digest, PluginName};
use crate::package::build::assemble;
use crate::package::fixture::{CREATED, library};
use crate::policy::{Grant, Item};
use crate::store::{
    DataOwner, Decided, Entry, Home, PluginData, Problem, ProblemKind, Status, StoreName, Trust, state_checksum,
};
use crate::trust::fixture::secret;
use crate::trust::{Keyring, TrustedKey};

struct Bench {
    folder: tempfile::TempDir,
    home: Home,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("home")).unwrap();
    home.make().unwrap();
    let key = TrustedKey::new(secret(1).public(), "me", &["*".parse().unwrap()], CREATED).unwrap();
    Keyring::open(&home.keys_path()).unwrap().add(&key).unwrap();
    Bench { folder, home }
}

fn manifest(name: &str, version: &str, more: &str) -> String {
    format!(r#"{{"name":"{name}","version":"{version}","description":"Does things","api_version":"1.0"{more}}}"#)
}

impl Bench {
    /// Writes a signed library and its package; gives the path of the library.
    fn built(&self, version: &str, more: &str) -> PathBuf {
        self.signed_with(version, more, 1)
    }

    fn signed_with(&self, version: &str, more: &str, key: u8) -> PathBuf {
        let path = self.folder.path().join(format!("v{version}-{key}")).join("libdemo.so");
        let bytes = library(&manifest("demo", version, more), &["-shared", "-fPIC"], "");
        let assembled = assemble(bytes.clone(), "libdemo.so", CREATED).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let sign = |text: String| secret(key).sign(text.as_bytes());
        let sidecar = assembled.sidecar(&sign(assembled.sidecar_index.render()));
        fs::write(path.with_extension("so.sig"), sidecar).unwrap();
        let package = assembled.package(&sign(assembled.package_index.render())).unwrap();
        fs::write(path.with_file_name("demo.mgp"), package).unwrap();
        path
    }

    fn install(&self, path: &Path, said: &[&str]) -> Result<InstallReport, ManageError> {
        let allow_unsigned = said.contains(&"--allow-unsigned");
        let named = |flag: &str| said.iter().find_map(|word| word.strip_prefix(flag)).map(|v| v.parse().unwrap());
        let allowed = Allowed { downgrade: named("--allow-downgrade="), reuse: named("--allow-reuse=") };
        let request = InstallRequest { allowed, ..request(path, allow_unsigned) };
        self.saying(said, |consenting| install(&self.home, &request, consenting))
    }

    fn enable(&self, said: &[&str]) -> Result<EnableReport, ManageError> {
        self.saying(said, |consenting| enable(&self.home, &demo(), consenting))
    }

    fn set(&self, key: &str, value: &str, said: &[&str]) -> Result<ConfigReport, ManageError> {
        let change = ConfigChange::Set { key: key.to_owned(), value: value.to_owned() };
        self.saying(said, |consenting| config_change(&self.home, &demo(), &change, consenting))
    }

    fn saying<T>(&self, said: &[&str], act: impl FnOnce(&mut Consenting<'_>) -> T) -> T {
        let grants: Vec<Grant> =
            said.iter().filter(|word| !word.starts_with("--")).map(|word| word.parse().unwrap()).collect();
        let directories = &self.directories();
        act(&mut Consenting { yes: said.contains(&"--yes"), grants: &grants, directories, prompt: &mut NoPrompt })
    }

    /// The user's own directory is `user`, the working directory `user/project`.
    fn directories(&self) -> Directories {
        let user = self.folder.path().join("user");
        let working = user.join("project");
        fs::create_dir_all(&working).unwrap();
        Directories::new(&self.home, &[user], &working)
    }

    fn status(&self) -> Status {
        info(&self.home, Path::new("demo")).unwrap().status
    }

    fn grants(&self) -> Vec<String> {
        info(&self.home, Path::new("demo")).unwrap().grants.iter().map(ToString::to_string).collect()
    }
}

fn request(path: &Path, allow_unsigned: bool) -> InstallRequest {
    InstallRequest {
        source: path.to_owned().into(),
        expected: Expected::default(),
        is_dry_run: false,
        allow_unsigned,
        trust_key: None,
        allowed: Allowed::default(),
        project: None,
        now: CREATED.to_owned(),
    }
}

fn demo() -> PluginName {
    "demo".parse().unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, ManageError>) -> Code {
    result.unwrap_err().code()
}

// covers: S225, S227, S228, S229, S230, S233, S236
#[test]
fn a_plugin_comes_and_goes() {
    let bench = bench();
    let path = bench.built("1.0.0", r#","commands":["go"]"#);
    let report = bench.install(&path, &[]).unwrap();
    assert_eq!((report.status, report.missing.len(), report.replaced), (Status::Enabled, 0, None));
    assert_eq!(verify(&bench.home, Path::new("demo"), CREATED).unwrap().files, 1);
    for changed in [true, false] {
        let report = disable(&bench.home, &demo(), false).unwrap();
        assert_eq!((report.status, report.changed), (Status::Disabled, changed));
    }
    for changed in [true, false] {
        let report = bench.enable(&[]).unwrap();
        assert_eq!((report.status, report.changed), (Status::Enabled, changed));
    }
    let state = bench.home.read().unwrap();
    let owner = DataOwner::of(&demo(), state.plugins.get(&demo()).unwrap().unwrap(), StoreName::User, &[]);
    PluginData::open(&bench.home).unwrap().put(&owner, "k", b"v").unwrap();
    uninstall(&bench.home, &demo(), Removal::default()).unwrap();
    assert_eq!(code(uninstall(&bench.home, &demo(), Removal::default())), Code::PluginNotFound);
    assert_eq!(code(info(&bench.home, Path::new("demo"))), Code::PluginNotFound);
    bench.install(&path.with_file_name("demo.mgp"), &[]).unwrap();
    let data = || PluginData::open(&bench.home).unwrap().get(&owner, "k").unwrap();
    assert!(data().is_some(), "data survives");
    uninstall(&bench.home, &demo(), Removal::default()).unwrap();
    assert!(uninstall(&bench.home, &demo(), Removal { purge: true, ..Removal::default() }).unwrap().purged);
    assert!(data().is_none());
}

#[test]
fn what_cannot_be_read_of_the_version_before_is_told_and_kept() {
    let bench = bench();
    let new = bench.built("2.0.0", "");
    bench.install(&bench.built("1.0.0", ""), &[]).unwrap();
    let path = bench.home.path().join("state");
    let text = fs::read_to_string(&path).unwrap();
    let body = text.split_once('\n').unwrap().1.trim_end_matches('\n').replacen("\"version\":", "\"edition\":", 1);
    let header = format!(r#"{{"format":1,"generation":7,"checksum":"{}"}}"#, state_checksum(7, body.as_bytes()));
    let damaged = format!("{header}\n{body}\n");
    fs::write(&path, &damaged).unwrap();
    let error = bench.install(&new, &[]).unwrap_err();
    assert_eq!(error.code(), Code::StateCorrupt);
    assert!(error.to_string().contains("what it holds of demo: missing field `version`"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    fs::write(&path, text).unwrap();
    let report = bench.install(&new, &[]).unwrap();
    assert_eq!((report.version, report.replaced), ("2.0.0".parse().unwrap(), Some("1.0.0".parse().unwrap())));
}

#[test]
fn nothing_runs_without_consent() {
    let bench = bench();
    let path = bench.built("1.0.0", r#","permissions":["task_read","network"],"hooks":["post-command"]"#);
    let report = bench.install(&path, &[]).unwrap();
    assert_eq!(report.status, Status::Installed);
    assert_eq!(report.missing.len(), 3);
    let error = bench.enable(&["--yes"]).unwrap_err();
    assert_eq!(error.code(), Code::ConsentRequired);
    assert_eq!(error.help().unwrap(), "if you agree to all of it, run: migraine plugin enable demo --grant network");
    // What was accepted is kept, and the plugin is still not enabled.
    assert_eq!((bench.status(), bench.grants()), (Status::Installed, vec!["task_read".to_owned()]));
    assert_eq!(code(bench.enable(&["exec"])), Code::ValueInvalid);
    bench.enable(&["network=localhost:80"]).unwrap();
    assert_eq!(bench.grants(), ["task_read", "network=localhost:80"]);
    assert_eq!(bench.status(), Status::Enabled);
}

// covers: A199
#[test]
fn a_new_version_must_not_want_more_in_silence() {
    let bench = bench();
    bench.install(&bench.built("1.0.0", r#","permissions":["task_read"]"#), &["--yes"]).unwrap();
    let more = bench.built("2.0.0", r#","permissions":["task_read","task_write"]"#);
    let error = bench.install(&more, &[]).unwrap_err();
    assert_eq!(error.code(), Code::ConsentRequired);
    assert!(error.help().unwrap().ends_with("libdemo.so --yes"), "{:?}", error.help());
    assert_eq!(info(&bench.home, Path::new("demo")).unwrap().version, "1.0.0");
    let report = bench.install(&more, &["task_write"]).unwrap();
    assert_eq!((report.status, report.replaced), (Status::Enabled, Some("1.0.0".parse().unwrap())));
    disable(&bench.home, &demo(), false).unwrap();
    let report = bench.install(&bench.built("3.0.0", ""), &[]).unwrap();
    assert_eq!(report.status, Status::Disabled, "whoever switched it off keeps it off");
    assert!(bench.grants().is_empty(), "what is no longer asked for is no longer granted");
}

// covers: A157, A158, A171
#[test]
fn a_version_is_never_older_than_the_newest_and_never_another() {
    let bench = bench();
    let (old, new) = (bench.built("1.0.0", ""), bench.built("2.0.0", ""));
    bench.install(&old, &[]).unwrap();
    bench.install(&new, &[]).unwrap();
    let refused = |path: &Path, said: &[&str]| code(bench.install(path, said));
    for _ in 0..2 {
        let error = bench.install(&old, &["--yes", "--allow-unsigned"]).unwrap_err();
        assert_eq!(error.code(), Code::VersionRollback);
        let help = "to go back on purpose, install it alone, from its file or address, with `--allow-downgrade 1.0.0`";
        assert_eq!(error.help().unwrap(), help);
        for other in ["--allow-downgrade=1.0.1", "--allow-downgrade=2.0.0", "--allow-reuse=1.0.0"] {
            assert_eq!(refused(&old, &[other]), Code::VersionRollback);
        }
        // The second time after it is gone, with its data.
        let _ = uninstall(&bench.home, &demo(), Removal { purge: true, ..Removal::default() });
    }
    assert_eq!(bench.install(&old, &["--allow-downgrade=1.0.0"]).unwrap().replaced, None);
    assert_eq!(refused(&bench.built("1.5.0", ""), &[]), Code::VersionRollback, "the newest is still known");
    bench.install(&old, &[]).unwrap();
    let changed = bench.built("2.0.0", r#","commands":["other"]"#);
    for (file, expected) in [(changed.clone(), true), (changed.with_file_name("demo.mgp"), true), (old, false)] {
        let said: &[&str] = if expected { &["--allow-reuse=2.0.1", "--allow-downgrade=2.0.0"] } else { &[] };
        match bench.install(&file, said) {
            Err(error) => assert_eq!((error.code(), expected), (Code::VersionReused, true)),
            Ok(_) => assert!(!expected),
        }
    }
    bench.install(&changed, &["--allow-reuse=2.0.0"]).unwrap();
    bench.install(&changed.with_file_name("demo.mgp"), &[]).unwrap();
    assert_eq!(forget(&bench.home, &demo()).unwrap().versions, 1);
    assert_eq!(refused(&bench.built("1.5.0", ""), &[]), Code::VersionRollback, "what is installed stays known");
    uninstall(&bench.home, &demo(), Removal::default()).unwrap();
    forget(&bench.home, &demo()).unwrap();
    assert_eq!(code(forget(&bench.home, &demo())), Code::PluginNotFound);
    bench.install(&bench.built("0.1.0", ""), &[]).unwrap();
}

struct Answers(Vec<&'static str>, usize);

impl Prompt for Answers {
    fn ask(&mut self, question: &Question<'_>) -> Option<Vec<Item>> {
        self.1 = question.asks.len();
        let accepted = question.asks.iter().filter(|ask| self.0.contains(&ask.item.grant_text().as_str()));
        Some(accepted.map(|ask| ask.item.clone()).collect())
    }
}

#[test]
fn a_person_is_asked_for_the_rest_only() {
    let bench = bench();
    let path = bench.built("1.0.0", r#","permissions":["env_vars=HOME","network=a:1"]"#);
    let request = request(&path, false);
    let run = |answers: &[&'static str]| {
        let mut prompt = Answers(answers.to_vec(), 0);
        let mut consenting =
            Consenting { yes: true, grants: &[], directories: &bench.directories(), prompt: &mut prompt };
        let status = install(&bench.home, &request, &mut consenting).unwrap().status;
        (status, prompt.1)
    };
    assert_eq!(run(&[]), (Status::Installed, 1));
    assert_eq!(run(&["env_vars+network"]), (Status::Enabled, 1));
    assert_eq!(run(&[]), (Status::Enabled, 0));
}

#[test]
fn what_is_not_trusted_is_refused_and_leaves_nothing() {
    let bench = bench();
    let path = bench.signed_with("1.0.0", "", 2);
    assert_eq!(code(bench.install(&path, &["--allow-unsigned"])), Code::UntrustedKey);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let good = bench.built("1.1.0", "");
    let sidecar = good.with_extension("so.sig");
    fs::write(&path, &bytes).unwrap();
    fs::copy(&sidecar, path.with_extension("so.sig")).unwrap();
    assert_eq!(code(bench.install(&path, &[])), Code::ContentMismatch);
    fs::remove_file(&sidecar).unwrap();
    assert_eq!(code(bench.install(&good, &[])), Code::SignatureMissing);
    assert_eq!(code(bench.install(Path::new("/no/such.so"), &[])), Code::FileNotFound);
    assert_eq!(code(bench.install(Path::new("/dev/null"), &[])), Code::Io);
    assert!(bench.home.read().unwrap().plugins.is_empty());
    // The exception is for this file alone, and it is shown.
    bench.install(&good, &["--allow-unsigned"]).unwrap();
    assert_eq!(info(&bench.home, Path::new("demo")).unwrap().signature, Signature::Unsigned);
    assert_eq!(verify(&bench.home, &good, CREATED).unwrap().trust, Some(Trust::Unsigned));
    let other = bench.built("1.2.0", "");
    fs::remove_file(other.with_extension("so.sig")).unwrap();
    assert_eq!(code(bench.install(&other, &[])), Code::SignatureMissing);
    uninstall(&bench.home, &demo(), Removal::default()).unwrap();
    assert_eq!(code(bench.install(&good, &[])), Code::SignatureMissing);
}

#[test]
fn the_table_says_the_same_as_the_list() {
    let bench = bench();
    bench.install(&bench.built("1.0.0", ""), &[]).unwrap();
    let folder = bench.home.plugins_path().join("dropped");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("broken.so"), "\x7fELF no").unwrap();
    let whole = bench.home.read().unwrap().plugins.get(&demo()).unwrap().unwrap().clone();
    let mut writer = bench.home.writer().unwrap();
    let problem = |kind| Some(Problem { kind, reason: format!("a \"{kind:?}\"") });
    let off = |was_enabled| Decided { enabled: false, was_enabled, ..whole.decided.clone() };
    for (name, entry) in [
        ("disabled", Entry { decided: off(true), description: "l\u{202e}\n".to_owned(), ..whole.clone() }),
        ("error", Entry { problem: problem(ProblemKind::Error), ..whole.clone() }),
        ("gone", Entry { digest: Digest::of(b"gone"), ..whole.clone() }),
        ("installed", Entry { decided: off(false), ..whole.clone() }),
        ("linked", Entry { link: Some(PathBuf::from("/x")), trust: Trust::Unsigned, ..whole.clone() }),
        ("quarantined", Entry { problem: problem(ProblemKind::Quarantined), ..whole.clone() }),
        ("upgraded", Entry { previous: Some(Box::new(whole.clone())), ..whole.clone() }),
    ] {
        writer.state_mut().plugins.insert(name.parse().unwrap(), entry);
    }
    writer.commit().unwrap();
    drop(writer);
    for status in [None].into_iter().chain(Status::ALL.map(Some)) {
        let request = ListRequest { status, built_in: true, ..ListRequest::default() };
        let (report, table) = (list(&bench.home, &request).unwrap(), list_table(&bench.home, &request).unwrap());
        assert_eq!(table.rows, report.plugins.into_iter().map(ListRow::from).collect::<Vec<_>>(), "{status:?}");
        assert_eq!((table.summary, table.warnings), (report.summary, report.warnings), "{status:?}");
        assert_eq!(table.built_in, report.built_in);
        assert!(!table.rows.is_empty() || status == Some(Status::Discovered), "{status:?}");
    }
}

// covers: S101, S102, S231, S235
#[test]
fn one_broken_plugin_does_not_hide_the_others() {
    let bench = bench();
    let path = bench.built("1.0.0", "");
    bench.install(&path, &[]).unwrap();
    let folder = bench.home.plugins_path().join("dropped");
    fs::create_dir_all(&folder).unwrap();
    let newer = bench.built("2.0.0", r#","commands":["go"]"#);
    fs::copy(newer.with_file_name("demo.mgp"), folder.join("demo.mgp")).unwrap();
    fs::write(folder.join("broken.so"), "\x7fELF no").unwrap();
    let report = list(&bench.home, &ListRequest::default()).unwrap();
    let shown: Vec<_> = report.plugins.iter().map(|p| (p.name.as_str(), p.version.as_str(), p.status)).collect();
    let expected =
        [("demo", "1.0.0", Status::Enabled), ("broken.so", "", Status::Error), ("demo", "2.0.0", Status::Discovered)];
    assert_eq!(shown, expected);
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.warnings[0].name, "broken.so");
    assert_eq!(report.summary, Summary { total: 3, enabled: 1, disabled: 0, errors: 1 });
    let request = ListRequest { status: Some(Status::Discovered), ..ListRequest::default() };
    assert_eq!(list(&bench.home, &request).unwrap().plugins.len(), 1);
    // A damaged tree is an error of that plugin, found by a refresh and cured by an install.
    let digest = info(&bench.home, Path::new("demo")).unwrap().digest.unwrap();
    let tree = bench.home.path().join("store").join(digest.to_string());
    let library = tree.join("files/libdemo.so");
    let permissions = |path: &Path, mode| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    permissions(&library, 0o644);
    let bytes = fs::read(&library).unwrap();
    fs::write(&library, [&bytes[..bytes.len() - 1], b"!"].concat()).unwrap();
    let report = refresh(&bench.home, None).unwrap();
    assert_eq!(report.changed[0].after, Status::Error);
    assert_eq!(report.discovered.len(), 2);
    assert_eq!(bench.status(), Status::Error);
    assert_eq!(code(verify(&bench.home, Path::new("demo"), CREATED)), Code::Integrity);
    assert_eq!(code(bench.enable(&[])), Code::Integrity);
    fs::write(&library, &bytes).unwrap();
    assert_eq!(refresh(&bench.home, None).unwrap().changed[0].after, Status::Enabled);
    // By its name, the dropped one is found.
    assert_eq!(bench.install(Path::new("demo"), &[]).unwrap().version.to_string(), "2.0.0");
}

#[test]
fn configuration_is_checked_against_the_manifest() {
    let bench = bench();
    let more = r#","config":{"text":"a","number":1,"flag":true,"socket":"/run/app.sock"},
        "permissions":["network=unix:{{config.socket}}"]"#;
    bench.install(&bench.built("1.0.0", more), &["--yes"]).unwrap();
    assert_eq!(bench.grants(), ["network=unix:/run/app.sock"]);
    for (key, value, expected) in [
        ("text", "7", None),
        ("number", "2.5", None),
        ("number", "two", Some(Code::ValueInvalid)),
        ("flag", "1", Some(Code::ValueInvalid)),
        ("flag", "false", None),
        ("other", "1", Some(Code::KeyNotFound)),
        ("socket", "/run/docker.sock", Some(Code::ConsentRequired)),
        ("socket", "a\nb", Some(Code::ValueInvalid)),
    ] {
        assert_eq!(bench.set(key, value, &[]).err().map(|error| error.code()), expected, "{key}={value}");
    }
    assert_eq!(code(bench.set("socket", "/run/docker.sock", &["--yes"])), Code::ConsentRequired);
    assert_eq!(bench.grants(), ["network=unix:/run/app.sock"], "a refused change changes nothing");
    bench.set("socket", "/run/b.sock", &["--yes"]).unwrap();
    assert_eq!(bench.grants(), ["network=unix:/run/b.sock"]);
    let shown = config_show(&bench.home, &demo(), None).unwrap().config;
    assert!(shown["text"].overridden && shown["text"].value == "7" && shown["number"].default == 1);
    assert_eq!(code(config_show(&bench.home, &demo(), Some("none"))), Code::KeyNotFound);
    let unset = ConfigChange::Unset { key: "text".to_owned() };
    bench.saying(&[], |consenting| config_change(&bench.home, &demo(), &unset, consenting)).unwrap();
    // A new version keeps what it still has.
    let newer = bench.built("2.0.0", r#","config":{"number":0,"flag":"now text"}"#);
    let report = bench.install(&newer, &[]).unwrap();
    assert_eq!(report.dropped_config, ["flag", "socket"]);
    assert_eq!(info(&bench.home, Path::new("demo")).unwrap().config["number"], 2.5);
}

#[test]
fn another_socket_needs_consent_and_replaces_the_first() {
    let bench = bench();
    let more = r#","config":{"docker_socket":"/var/run/docker.sock"},
        "permissions":["network=unix:{{config.docker_socket}}"]"#;
    let socket = "network=unix:/var/run/docker.sock";
    let path = bench.built("1.0.0", more);
    let report = bench.install(&path, &["--yes"]).unwrap();
    assert_eq!(report.missing[0].words, "connect to the socket /var/run/docker.sock");
    assert_eq!(report.missing[0].danger.as_deref(), Some("it reaches the Docker service, which controls this machine"));
    bench.enable(&[socket]).unwrap();
    let other = "network=unix:/srv/docker/other.sock";
    let error = bench.set("docker_socket", "/srv/docker/other.sock", &["--yes"]).unwrap_err();
    assert_eq!(error.code(), Code::ConsentRequired);
    assert!(error.help().unwrap().ends_with(&format!("--yes --grant {other}")), "{:?}", error.help());
    assert_eq!((bench.grants(), bench.status()), (vec![socket.to_owned()], Status::Enabled));
    bench.set("docker_socket", "/srv/docker/other.sock", &[other]).unwrap();
    assert_eq!(bench.grants(), [other]);
    let consents = bench.home.read().unwrap().plugins.get(&demo()).unwrap().unwrap().decided.consents.clone();
    assert_eq!(consents, [Item::Permission(other.parse().unwrap())], "nothing is left of the first");
    assert_eq!(code(bench.set("docker_socket", "/var/run/docker.sock", &[])), Code::ConsentRequired);
}

#[test]
fn time_for_a_command_is_granted_and_kept() {
    let bench = bench();
    let commands = |timeout: &str| format!(r#","commands":[{{"name":"logs","timeout":{timeout}}},"go"]"#);
    let timeout = |command: &str| bench.home.read().unwrap().plugins.get(&demo()).unwrap().unwrap().timeout(command);
    let report = bench.install(&bench.built("1.0.0", &commands("60")), &[]).unwrap();
    assert_eq!((report.status, report.missing[0].grant.as_str()), (Status::Installed, "timeout=logs"));
    assert_eq!(timeout("logs"), None, "what is asked for is not granted");
    bench.enable(&["timeout=logs"]).unwrap();
    assert_eq!((timeout("logs"), timeout("go")), (Some(Timeout::Seconds(60)), None));
    assert_eq!(code(bench.install(&bench.built("2.0.0", &commands("\"none\"")), &[])), Code::ConsentRequired);
    assert_eq!(timeout("logs"), Some(Timeout::Seconds(60)));
    bench.install(&bench.built("2.0.0", &commands("\"none\"")), &["--yes"]).unwrap();
    assert_eq!(timeout("logs"), Some(Timeout::None));
    bench.install(&bench.built("3.0.0", &commands("30")), &[]).unwrap();
    assert_eq!(timeout("logs"), Some(Timeout::Seconds(30)));
}

// covers: S90, S91, C4
#[test]
fn commands_are_found_before_anything_is_started() {
    let bench = bench();
    let more = r#","commands":[{"name":"go","description":"Goes \u001b[2J"},"stop"],"permissions":["task_read"]"#;
    bench.install(&bench.built("1.0.0", more), &[]).unwrap();
    let entry = || bench.home.read().unwrap().plugins.get(&demo()).unwrap().unwrap().clone();
    assert_eq!(code(command_of(&demo(), &entry(), "fly").cloned()), Code::CommandNotFound);
    assert_eq!(code(command_of(&demo(), &entry(), "go").cloned()), Code::ConsentRequired);
    bench.enable(&["--yes"]).unwrap();
    disable(&bench.home, &demo(), false).unwrap();
    assert_eq!(code(command_of(&demo(), &entry(), "go").cloned()), Code::PluginDisabled);
    bench.enable(&[]).unwrap();
    assert_eq!(command_of(&demo(), &entry(), "go").unwrap().name, "go");
    let text = usage(&demo(), &entry());
    assert!(text.contains("  go    Goes \\u{1b}[2J\n  stop\n"), "{text}");
    let reserved = library(&manifest("install", "1.0.0", ""), &["-shared", "-fPIC"], "");
    let path = bench.folder.path().join("libinstall.so");
    fs::write(&path, reserved).unwrap();
    assert_eq!(code(bench.install(&path, &["--allow-unsigned"])), Code::NameReserved);
}
