//! The store as a whole: what is durable when, what a kill leaves behind, who may change it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use migraine_plugin_api::Manifest;

use super::dir::trace;
use super::*;
use crate::code::{Code, Coded as _};
use crate::ids::{Digest, PluginName};
use crate::package::{FileEntry, Index, Package, Signature, TARGET};

fn package(name: &str, version: &str, contents: &[(&str, &[u8])]) -> Package {
    let mut files: Vec<(FileEntry, Vec<u8>)> =
        contents.iter().map(|(path, content)| (FileEntry::of(path, 0o644, content), content.to_vec())).collect();
    files.sort_by(|one, other| one.0.path.cmp(&other.0.path));
    let index = Index {
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        api: migraine_plugin_api::API_VERSION,
        created: "2026-01-02T03:04:05Z".to_owned(),
        entry: contents[0].0.to_owned(),
        target: TARGET.to_owned(),
        others: Vec::new(),
        permissions: Vec::new(),
        dependencies: Vec::new(),
        files: files.iter().map(|(entry, _)| entry.clone()).collect(),
    };
    let index_text = index.render().into_bytes();
    let signature = Some(Signature { key: [7; 32], bytes: [8; 64] });
    let manifest = Manifest::new(name, version);
    Package {
        digest: Digest::of(&index_text),
        index,
        index_text,
        signature,
        manifest,
        files,
        others: Vec::new(),
        elf: None,
    }
}

pub(super) fn one(version: &str) -> Package {
    package("one", version, &[("libone.so", version.as_bytes()), ("data/deep/a.txt", b"a"), ("data/b.txt", b"")])
}

pub(super) fn entry(package: &Package) -> Entry {
    Entry {
        version: package.index.version.clone(),
        digest: package.digest,
        trust: Trust::Unsigned,
        decided: Decided {
            enabled: true,
            was_enabled: true,
            grants: vec!["network=localhost:80".parse().unwrap()],
            ..Decided::default()
        },
        description: "A \"quoted\" line".to_owned(),
        asked: Vec::new(),
        hooks: vec![migraine_plugin_api::HookSpec::new("post-command")],
        commands: vec![migraine_plugin_api::CommandSpec::new("hello")],
        dependencies: Vec::new(),
        defaults: BTreeMap::from([("a".to_owned(), serde_json::json!(1))]),
        installed_at: "2026-01-02T03:04:05Z".to_owned(),
        installed_from: None,
        interpreters: Vec::new(),
        remote: None,
        link: None,
        problem: None,
        pinned: None,
        previous: None,
    }
}

struct Sandpit {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn sandpit() -> Sandpit {
    // In memory where that is possible: thousands of fsyncs on a disk that others use would take minutes.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("home");
    Sandpit { _folder: folder, path }
}

fn install(path: &Path, package: &Package) -> Result<(), StoreError> {
    let home = Home::open(path)?;
    let mut writer = home.writer()?;
    writer.add_tree(package)?;
    writer.state_mut().plugins.insert(package.index.name.clone(), entry(package));
    writer.commit()
}

fn uninstall(path: &Path) -> Result<(), StoreError> {
    let home = Home::open(path)?;
    let mut writer = home.writer()?;
    writer.state_mut().plugins.clear();
    writer.state_mut().purges.insert("one".parse().unwrap());
    writer.commit()
}

/// Every path below with its mode and content, names that are random aside.
fn listing(path: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![path.to_owned()];
    while let Some(directory) = todo.pop() {
        for item in fs::read_dir(&directory).unwrap() {
            let item = item.unwrap();
            let meta = item.metadata().unwrap();
            let name = item.path().strip_prefix(path).unwrap().display().to_string();
            let content = match meta.is_dir() {
                true => "dir".to_owned(),
                false => Digest::of(&fs::read(item.path()).unwrap()).to_string(),
            };
            if meta.is_dir() {
                todo.push(item.path());
            }
            if name != "state" && !name.starts_with("data/") {
                found.insert(name, format!("{:o} {content}", meta.mode() & 0o777));
            }
        }
    }
    found
}

#[test]
fn a_package_goes_in_and_comes_out() {
    let pit = sandpit();
    let package = one("1.0.0");
    install(&pit.path, &package).unwrap();
    let home = Home::open(&pit.path).unwrap();
    let Installed { entry, tree, .. } = home.load_plugin(&"one".parse().unwrap()).unwrap().unwrap();
    assert_eq!(entry, self::entry(&package));
    assert_eq!((tree.index_text.clone(), tree.signature), (package.index_text.clone(), package.signature));
    assert_eq!(tree.files(), package.files);
    assert_eq!(tree.library(), b"1.0.0");
    assert!(home.load_plugin(&"two".parse().unwrap()).unwrap().is_none());
    let listing = listing(&pit.path);
    let tree = format!("store/{}", package.digest);
    for (name, mode) in [("", "555"), ("/files/data/deep", "555"), ("/files/libone.so", "444"), ("/index", "444")] {
        assert!(listing[&format!("{tree}{name}")].starts_with(mode), "{name}");
    }
    for name in ["store", "staging", "trash", "plugins"] {
        assert_eq!(listing[name], "700 dir");
    }
    let mode = |name: &str| fs::metadata(pit.path.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode(""), mode("state"), mode("lock")), (0o700, 0o600, 0o600));
    uninstall(&pit.path).unwrap();
    assert!(fs::read_dir(pit.path.join("store")).unwrap().next().is_none());
    assert!(fs::read_dir(pit.path.join("trash")).unwrap().next().is_none());
}

/// Runs an action with a kill before each of its steps; what is left must be the old or the new state, and the same
/// action run again must end as an undisturbed one does.
fn kill_everywhere(prepare: &dyn Fn(&Path), action: &dyn Fn(&Path) -> Result<(), StoreError>) {
    let (before, after) = (sandpit(), sandpit());
    prepare(&before.path);
    prepare(&after.path);
    action(&after.path).unwrap();
    let expected = listing(&after.path);
    let plugins = |path: &Path| Home::open(path).unwrap().read().unwrap().plugins;
    let (old, new) = (plugins(&before.path), plugins(&after.path));
    for point in 0.. {
        let pit = sandpit();
        prepare(&pit.path);
        trace::start(Some(point));
        let done = action(&pit.path);
        let steps = trace::stop();
        let found = plugins(&pit.path);
        assert!(found == old || found == new, "killed before step {point}, after {:?}", steps.last());
        for (_, entry) in found.iter().unwrap() {
            Home::open(&pit.path).unwrap().load(&entry.digest).unwrap();
        }
        if done.is_ok() {
            assert_eq!(found, new, "success was reported at step {point}");
        }
        action(&pit.path).unwrap();
        assert_eq!(listing(&pit.path), expected, "after a kill before step {point}");
        if steps.len() < point {
            assert!(point > 20, "only {point} steps were seen");
            return;
        }
    }
}

// covers: A144, A145
#[test]
fn a_kill_leaves_the_old_or_the_new_state() {
    kill_everywhere(&|_| {}, &|path| install(path, &one("1.0.0")));
    let first = |path: &Path| install(path, &one("1.0.0")).unwrap();
    kill_everywhere(&first, &|path| install(path, &one("2.0.0")));
    kill_everywhere(&first, &uninstall);
}

/// A tree of which a file was changed, in an otherwise whole store.
fn damaged(path: &Path) {
    install(path, &one("1.0.0")).unwrap();
    let file = path.join("store").join(one("1.0.0").digest.to_string()).join("files/libone.so");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
}

fn repair(path: &Path) -> Result<(), StoreError> {
    let home = Home::open(path)?;
    home.writer()?.replace_tree(&one("1.0.0"))
}

// covers: A144
#[test]
fn a_tree_is_never_gone_while_it_is_replaced() {
    let digest = one("1.0.0").digest;
    for can_exchange in [true, false] {
        if !can_exchange {
            trace::forbid_exchange();
        }
        let mut gone = 0;
        for point in 0.. {
            let pit = sandpit();
            damaged(&pit.path);
            trace::start(Some(point));
            let done = repair(&pit.path);
            let steps = trace::stop();
            let home = Home::open(&pit.path).unwrap();
            match home.load(&digest) {
                Ok(_) | Err(StoreError::Integrity { .. }) => {}
                Err(StoreError::Gone { .. }) => gone += 1,
                Err(error) => panic!("killed before step {point}, after {:?}: {error}", steps.last()),
            }
            assert!(done.is_err() || home.load(&digest).is_ok(), "success was reported at step {point}");
            repair(&pit.path).unwrap();
            home.load(&digest).unwrap();
            for name in ["staging", "trash"] {
                assert_eq!(fs::read_dir(pit.path.join(name)).unwrap().count(), 0, "{name} after step {point}");
            }
            if steps.len() < point {
                assert!(point > 20, "only {point} steps were seen");
                break;
            }
        }
        assert_eq!(gone > 0, !can_exchange, "{gone}");
    }
}

// covers: A147, A148
#[test]
fn everything_is_durable_before_the_commit_names_it() {
    let pit = sandpit();
    trace::start(None);
    install(&pit.path, &one("1.0.0")).unwrap();
    let steps = trace::stop();
    let find = |text: &str| steps.iter().position(|step| step.starts_with(text)).unwrap_or_else(|| panic!("{text}"));
    let home = pit.path.display();
    let commit = steps.iter().position(|step| *step == format!("rename {home}/state")).unwrap();
    let publish = find(&format!("rename {home}/store/"));
    // Each file and each directory of the tree is synced before the tree is published, children first.
    for (created, step) in steps.iter().enumerate().filter(|(_, step)| step.starts_with("create ")) {
        let path = step.strip_prefix("create ").unwrap();
        let synced = steps[created..].iter().position(|step| *step == format!("fsync {path}")).unwrap() + created;
        let limit = if path.contains("/staging/") { publish } else { commit };
        assert!(synced < limit || path.ends_with("/reserve"), "{path}");
    }
    let synced = |suffix: &str| {
        let found = steps.iter().position(|step| step.starts_with("fsync ") && step.ends_with(suffix));
        found.unwrap_or_else(|| panic!("{suffix}"))
    };
    assert!(synced("/data/deep") < synced("/files/data"));
    assert!(synced("/files/data") < synced("/files"));
    assert!(synced("/files") < publish);
    let after_publish = |text: String| steps[publish..commit].contains(&text);
    assert!(after_publish(format!("fsync {home}/store")) && after_publish(format!("fsync {home}/staging")));
    assert!(steps[commit + 1] == format!("fsync {home}"), "the commit is made durable at once");
}

// covers: A149
#[test]
fn two_writers_wait_for_each_other() {
    let pit = sandpit();
    let packages = [one("1.0.0"), package("two", "1.0.0", &[("libtwo.so", b"2")])];
    drop(Home::open(&pit.path).unwrap());
    std::thread::scope(|scope| {
        for package in &packages {
            scope.spawn(|| (0..10).for_each(|_| install(&pit.path, package).unwrap()));
        }
        let home = Home::open(&pit.path).unwrap();
        let name: PluginName = "one".parse().unwrap();
        for _ in 0..200 {
            if let Some(Installed { entry, tree, .. }) = home.load_plugin(&name).unwrap() {
                assert_eq!(entry.digest, tree.digest);
            }
        }
    });
    let state = Home::open(&pit.path).unwrap().read().unwrap();
    assert_eq!((state.plugins.len(), state.generation), (2, 20));
    let home = Home::open(&pit.path).unwrap();
    let _held = home.writer().unwrap();
    let other = Home::open(&pit.path).unwrap();
    let error = other.writer_within(Duration::from_millis(60)).unwrap_err();
    assert_eq!(error.code(), Code::StateBusy);
}

#[test]
fn a_changed_byte_is_found() {
    let pit = sandpit();
    let package = one("1.0.0");
    install(&pit.path, &package).unwrap();
    let home = Home::open(&pit.path).unwrap();
    let tree = pit.path.join("store").join(package.digest.to_string());
    for name in ["index", "index.sig", "files/libone.so", "files/data/deep/a.txt"] {
        let file = tree.join(name);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[0] ^= 1;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, &bad).unwrap();
        assert_eq!(home.load(&package.digest).unwrap_err().code(), Code::Integrity, "{name}");
        // The right bytes and one more.
        fs::write(&file, [&good[..], b"x"].concat()).unwrap();
        assert!(home.load(&package.digest).is_err(), "{name}");
        fs::write(&file, &good).unwrap();
        home.load(&package.digest).unwrap();
    }
    // An install over a damaged tree does not take it over.
    let file = tree.join("files/libone.so");
    fs::write(&file, b"x.0.0").unwrap();
    assert_eq!(install(&pit.path, &package).unwrap_err().code(), Code::Integrity);
    uninstall(&pit.path).unwrap();
    install(&pit.path, &package).unwrap();
    home.load(&package.digest).unwrap();
    assert!(matches!(home.load(&Digest::of(b"other")), Err(StoreError::Gone { .. })));
}

#[test]
fn a_damaged_state_is_never_taken_for_an_empty_one() {
    let pit = sandpit();
    install(&pit.path, &one("1.0.0")).unwrap();
    let good = fs::read(pit.path.join("state")).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(State::decode(&bad).is_err(), "byte {at}");
        assert!(State::decode(&good[..at]).is_err(), "cut at {at}");
    }
    fs::write(pit.path.join("state"), &good[..good.len() - 1]).unwrap();
    let home = Home::open(&pit.path).unwrap();
    assert_eq!(home.read().unwrap_err().code(), Code::StateCorrupt);
    assert_eq!(home.writer().unwrap_err().code(), Code::StateCorrupt);
    assert!(fs::read_dir(pit.path.join("store")).unwrap().next().is_some(), "no tree was taken for garbage");
}

#[test]
fn what_others_can_change_is_refused() {
    let pit = sandpit();
    install(&pit.path, &one("1.0.0")).unwrap();
    for name in ["", "store", "state"] {
        let path = pit.path.join(name);
        let before = fs::metadata(&path).unwrap().permissions();
        for mode in [0o770, 0o702] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Home::open(&pit.path).and_then(|home| home.writer().map(drop)).unwrap_err();
            assert_eq!(error.code(), Code::InsecurePermissions, "{name} {mode:o}");
        }
        fs::set_permissions(&path, before).unwrap();
    }
    let link = pit.path.with_file_name("link");
    std::os::unix::fs::symlink(&pit.path, &link).unwrap();
    assert!(Home::open(&link).is_err());
    // A name planted in place of the state is neither followed nor waited for.
    fs::remove_file(pit.path.join("state")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", pit.path.join("state")).unwrap();
    assert!(Home::open(&pit.path).unwrap().read().is_err());
    fs::remove_file(pit.path.join("state")).unwrap();
    nix::unistd::mkfifo(&pit.path.join("state"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(Home::open(&pit.path).unwrap().read().unwrap_err().code(), Code::InsecurePermissions);
}

#[test]
fn a_thousand_plugins_are_read_back() {
    let package = one("1.0.0");
    let mut state = State { generation: 3, ..State::default() };
    for number in 0..1000 {
        state.plugins.insert(format!("plugin-{number}").parse().unwrap(), entry(&package));
    }
    let text = state.encode().unwrap();
    assert_eq!(State::decode(&text).unwrap(), state);
}

fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

/// A state file of these lines of plugins, whose checksum fits.
fn written(lines: &[&str]) -> Vec<u8> {
    let plugins = lines.iter().map(|line| format!("\n{line}")).collect::<Vec<_>>().join(",");
    let body = format!(
        "{{\"plugins\":{{{plugins}\n}},\"history\":{{\n}},\"exceptions\":[],\"purges\":[],\"projects\":{{}},\"trees\":1}}"
    );
    let header = format!(r#"{{"format":1,"generation":7,"checksum":"{}"}}"#, state_checksum(7, body.as_bytes()));
    format!("{header}\n{body}\n").into_bytes()
}

#[test]
fn what_is_damaged_of_one_plugin_is_refused_where_it_counts_and_kept_as_it_is() {
    let pit = sandpit();
    install(&pit.path, &one("1.0.0")).unwrap();
    let home = Home::open(&pit.path).unwrap();
    let good = serde_json::to_string(home.read().unwrap().plugins.get(&name("one")).unwrap().unwrap()).unwrap();
    for bad in ["{}", "{", "7", "", r#"{"version":1}"#, &format!("{good},\"two\":{good}"), &format!("{good} ")[1..]] {
        let text = written(&[&format!(r#""bad":{bad}"#), &format!(r#""one":{good}"#)]);
        fs::write(pit.path.join("state"), &text).unwrap();
        let is_damage = |error: StoreError| {
            let words = error.to_string();
            assert!(
                error.code() == Code::StateCorrupt && words.contains("/state: ") && words.contains("bad"),
                "{words}"
            );
        };
        let state = home.read().unwrap();
        is_damage(state.plugins.get(&name("bad")).unwrap_err());
        is_damage(state.plugins.iter().unwrap_err());
        is_damage(home.load_plugin(&name("bad")).unwrap_err());
        is_damage(home.read_whole().unwrap_err());
        is_damage(home.read_with_gone().unwrap_err());
        assert!(State::decode(&text).is_err() && home.inspect().unwrap().state.is_err(), "{bad}");
        assert_eq!(home.load_plugin(&name("one")).unwrap().unwrap().entry.version.to_string(), "1.0.0");
        let mut writer = home.writer_within(Duration::ZERO).unwrap();
        is_damage(writer.state_mut().plugins.remove(&name("bad")).unwrap_err());
        is_damage(writer.state_mut().plugins.get_mut(&name("bad")).unwrap_err());
        writer.state_mut().plugins.get_mut(&name("one")).unwrap().unwrap().decided.enabled = false;
        writer.commit().unwrap();
        drop(writer);
        let after = fs::read_to_string(pit.path.join("state")).unwrap();
        assert!(after.contains(&format!("\n\"bad\":{bad},\n")) && after.contains(r#""enabled":false"#), "{after}");
        is_damage(home.read().unwrap().plugins.get(&name("bad")).unwrap_err());
    }
}

#[test]
fn lines_of_another_form_are_read_as_json_or_not_at_all() {
    let good = serde_json::to_string(&entry(&one("1.0.0"))).unwrap();
    let line = |name: &str| format!(r#""{name}":{good}"#);
    let read = |lines: &[&str]| State::decode(&written(lines)).map(|state| state.plugins.len());
    assert_eq!(read(&[]), Ok(0));
    assert_eq!(read(&[&line("a"), &line("b")]), Ok(2));
    // Another order, a name with an escape, a space, two on a line: what JSON makes of it.
    assert_eq!(read(&[&line("b"), &line("a")]), Ok(2));
    assert_eq!(read(&[&line(r"\u0061"), &line("b")]), Ok(2));
    assert_eq!(read(&[&format!(r#" "a" : {good}"#)]), Ok(1));
    for bad in [line("A"), line(""), good.clone(), "\"a\"".to_owned(), "\"a\":".to_owned(), line("a") + ","] {
        assert!(read(&[&bad]).is_err() && read(&[&bad, &line("b")]).is_err(), "{bad}");
    }
}

#[test]
fn what_may_be_asked_for_is_never_passed_over() {
    let at = |time: &str| Entry { installed_at: time.to_owned(), ..entry(&one("1.0.0")) };
    let (now, later) = ("2026-03-01T00:00:00Z", "2026-03-01T00:00:01Z");
    let entries = [
        ("before", at("2026-02-28T23:59:59Z")),
        ("now", at(now)),
        ("later", at(later)),
        ("offset", at("2026-03-01T00:00:01+00:00")),
        ("none", at("")),
        ("needs", Entry { dependencies: vec!["plugin:other".to_owned()], ..at(now) }),
        ("went-back", Entry { previous: Some(Box::new(at(later))), ..at(now) }),
    ];
    let state = State {
        plugins: entries.into_iter().map(|(name, entry)| (self::name(name), entry)).collect(),
        ..State::default()
    };
    let text = String::from_utf8(state.encode().unwrap()).unwrap();
    let read = |text: &str| {
        let body = text.split_once('\n').unwrap().1.strip_suffix('\n').unwrap();
        let header = format!(r#"{{"format":1,"generation":7,"checksum":"{}"}}"#, state_checksum(7, body.as_bytes()));
        let pit = sandpit();
        let home = Home::open(&pit.path).unwrap();
        home.make().unwrap();
        fs::write(pit.path.join("state"), format!("{header}\n{body}\n")).unwrap();
        home.read().unwrap()
    };
    let names = |chosen: Chosen<'_, Entry>| chosen.map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    let state = read(&text);
    assert_eq!(names(state.plugins.mentioning("dependencies").unwrap()), ["needs"]);
    assert_eq!(names(state.installed_after(now).unwrap()), ["later", "none", "offset", "went-back"]);
    assert_eq!(state.installed_after("2026-03-01").unwrap().len(), 7, "a moment of another form");
    // The same words, as another program may write them.
    let state = read(&text.replace("dependencies", r"depend\u0065ncies").replace("installed_at", r"installed\u005fat"));
    assert!(names(state.plugins.mentioning("dependencies").unwrap()).contains(&"needs".to_owned()));
    assert!(names(state.installed_after(now).unwrap()).contains(&"later".to_owned()));
    let digest = one("1.0.0").digest;
    let hex = digest.to_string();
    let state = read(&text.replace(&hex, &format!(r"\u{:04x}{}", hex.as_bytes()[0], &hex[1..])));
    assert!(state.refers_to(&digest).unwrap() && !state.refers_to(&Digest::of(b"")).unwrap());
}

#[test]
fn trees_that_nobody_needs_are_removed_when_they_are_there() {
    let pit = sandpit();
    let trees = || fs::read_dir(pit.path.join("store")).unwrap().count();
    for (version, kept) in [("1.0.0", 1), ("2.0.0", 1)] {
        install(&pit.path, &one(version)).unwrap();
        assert_eq!(trees(), kept, "{version}");
    }
    install(&pit.path, &package("two", "1.0.0", &[("libtwo.so", b"2")])).unwrap();
    let home = Home::open(&pit.path).unwrap();
    let count = || home.read().unwrap().count_trees();
    assert_eq!((trees(), count()), (2, Some(2)));
    // Put there and never named by a commit.
    let mut writer = home.writer().unwrap();
    writer.add_tree(&one("3.0.0")).unwrap();
    drop(writer);
    assert_eq!(trees(), 3);
    drop(home.writer().unwrap());
    assert_eq!(trees(), 2);
    // The version before is kept, and goes with the plugin.
    let mut writer = home.writer().unwrap();
    writer.add_tree(&one("3.0.0")).unwrap();
    let entry = writer.state_mut().plugins.get_mut(&name("one")).unwrap().unwrap();
    let before = std::mem::replace(entry, self::entry(&one("3.0.0")));
    entry.previous = Some(Box::new(before));
    writer.commit().unwrap();
    drop(writer);
    assert_eq!((trees(), count()), (3, Some(3)));
    let mut writer = home.writer().unwrap();
    writer.state_mut().plugins.remove(&name("one")).unwrap();
    writer.commit().unwrap();
    drop(writer);
    assert_eq!((trees(), count()), (1, Some(1)));
    // One is gone and another takes its place in the count: it is not what was installed, and fsck tells of both.
    let kept = home.read().unwrap().trees().unwrap().first().unwrap().to_string();
    fs::rename(pit.path.join("store").join(&kept), pit.path.join("store").join(Digest::of(b"other").to_string()))
        .unwrap();
    assert!(home.inspect().unwrap().flaws.len() >= 2);
}

/// What cannot be written is not what is damaged: whoever moved the state away would lose everything.
#[test]
fn what_cannot_be_written_leaves_the_state_and_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("home")).unwrap();
    home.writer().unwrap().commit().unwrap();
    let mut writer = home.writer().unwrap();
    let path = PathBuf::from(OsStr::from_bytes(b"/odd-\xff"));
    writer.state_mut().projects.insert(path, Digest::of(b""));
    let error = writer.commit().unwrap_err();
    assert_eq!(error.code(), Code::ValueInvalid, "{error}");
    drop(writer);
    assert_eq!(home.read().unwrap().generation, 1);
}

/// What everybody reads keeps no query, also where an earlier version of the program wrote one.
#[test]
fn queries_are_forgotten_and_nothing_else_is() {
    let mut secret = entry(&one("1.0.0"));
    let url = "https://example.com/a.mgp?token=s3cret".parse().unwrap();
    secret.remote = Some(Remote { url, version: crate::url::FileVersion::default() });
    let newer = Entry { remote: None, previous: Some(Box::new(secret.clone())), ..secret.clone() };
    let curious = Entry { remote: None, description: "what?".to_owned(), ..secret.clone() };
    let mut state = State::default();
    for (name, entry) in [("a", secret), ("b", newer), ("c", curious.clone()), ("d", curious)] {
        state.plugins.insert(name.parse().unwrap(), entry);
    }
    let text = String::from_utf8(state.encode().unwrap()).unwrap();
    assert_eq!(text.matches("s3cret").count(), 2);
    // One that cannot be read stays as it is, and keeps nothing from the others.
    let at = text.find("\n\"d\":").unwrap();
    let text = text[..at].to_owned() + &text[at..].replacen("1.0.0", "x.y.z", 1);
    let text = records::Text { bytes: text.into_bytes(), path: PathBuf::new() };
    let mut read = State::read_checked(&std::sync::Arc::new(text)).unwrap();
    read.forget_queries();
    let text = String::from_utf8(read.encode().unwrap()).unwrap();
    assert!(!text.contains("s3cret") && text.contains("x.y.z"), "{text}");
    assert_eq!(text.matches(r#""https://example.com/a.mgp""#).count(), 2);
    assert_eq!(read.plugins.made().count(), 2);
}
