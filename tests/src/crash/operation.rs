//! The operations that change something on disk, and what they act on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use migraine_host::trust::SecretKey;
use serde_json::json;

use super::place::Place;
use super::tree::Tree;
use crate::artifacts;
use crate::package::{key, manifest, other_key, plugin, remade, tiny, typed};
use crate::run::User;

/// An operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    /// Command lines that come before it. One that begins with `?` may end with an error: a plugin that waits for consent. One
    /// that begins with `!` is for the shell, in the folder that holds the home and the working directory.
    prepare: &'static [&'static str],
    /// Its command line. A word in braces stands for something of [`Kit`].
    line: &'static str,
    /// Two things change, one after the other, each with a meaning of its own: in between lies a third state, which
    /// ARCHITECTURE.md allows by name.
    pub in_two_steps: bool,
    /// Command lines, each of which leads from the old state to one that may lie between the old and the new one.
    pub(super) between: &'static [&'static str],
    /// It prints what became of each of several plugins, also where one failed.
    pub reports: bool,
    /// What came before it left a home that readers refuse: they need not work before it was run again.
    pub mends: bool,
}

const TRUST: &str = "key trust {key} --scope * --label tests";
/// Somebody else's plugin, which must go on working.
const BYSTANDER: &str = "plugin install {bystander} --yes";
const INSTALL: &str = "plugin install {package} --yes";
const TINY: &str = "plugin install {tiny} --yes";
const LINK: &str = "plugin link {linked} --yes";
const PROJECT: &str = "plugin trust-project {project}";
const OTHER: &str = "key trust {other} --scope other-* --label other";
const LIST: &str = "key revoke {third} --list list --sign-with {secret}";
const ROTATION: &str = "key rotate {secret} {third} --out rotation";

/// A second version of each plugin lies where upgrades look.
const NEWER: &str = "!cp {newer} {newer-bystander} home/plugins/";
/// Changes a file of an installed plugin.
const DAMAGE: &str =
    "!f=$(echo home/store/*/files/libhooks.so); cp $f work/kept; chmod 644 $f; echo >>$f; chmod 444 $f";
const HEAL: &str =
    "!f=$(echo home/store/*/files/libhooks.so); chmod 644 $f; cat work/kept >$f; chmod 444 $f; rm work/kept";

const fn operation(name: &'static str, prepare: &'static [&'static str], line: &'static str) -> Operation {
    Operation { name, prepare, line, in_two_steps: false, between: &[], reports: false, mends: false }
}

const fn in_two_steps(name: &'static str, prepare: &'static [&'static str], line: &'static str) -> Operation {
    Operation { in_two_steps: true, ..operation(name, prepare, line) }
}

const fn mending(name: &'static str, prepare: &'static [&'static str]) -> Operation {
    Operation { mends: true, ..operation(name, prepare, "plugin fsck --repair") }
}

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    // The home itself is made, and the key pinned.
    in_two_steps("install-first", &[], "plugin install {package} --yes --trust-key {fingerprint}"),
    operation("install-package", &[TRUST, BYSTANDER], INSTALL),
    operation("install-library", &[TRUST, BYSTANDER], "plugin install {library} --yes"),
    operation("install-unsigned", &[TRUST, BYSTANDER], "plugin install {unsigned} --yes --allow-unsigned"),
    operation("install-again", &[TRUST, BYSTANDER, INSTALL], INSTALL),
    operation("upgrade", &[TRUST, BYSTANDER, INSTALL], "plugin install {newer} --yes"),
    Operation {
        between: &["plugin upgrade hooks", "plugin upgrade hello-world"],
        reports: true,
        ..operation("upgrade-all", &[TRUST, BYSTANDER, INSTALL, NEWER], "plugin upgrade --all --yes")
    },
    operation("rollback", &[TRUST, BYSTANDER, INSTALL, "plugin install {newer} --yes"], "plugin rollback hooks"),
    operation("pin", &[TRUST, BYSTANDER, INSTALL], "plugin pin hooks"),
    operation("forget", &[TRUST, BYSTANDER, INSTALL, "plugin uninstall hooks"], "plugin forget hooks --history"),
    operation("uninstall", &[TRUST, BYSTANDER, INSTALL], "plugin uninstall hooks"),
    operation(
        "uninstall-purge",
        &[TRUST, BYSTANDER, INSTALL, "plugin hooks put colour green"],
        "plugin uninstall hooks --purge",
    ),
    operation("enable", &[TRUST, BYSTANDER, INSTALL, "plugin disable hooks"], "plugin enable hooks"),
    operation("disable", &[TRUST, BYSTANDER, INSTALL], "plugin disable hooks"),
    operation(
        "grant",
        &[TRUST, BYSTANDER, "?plugin install {asking}"],
        "plugin enable hooks --yes --grant network=localhost:80",
    ),
    operation(
        "revoke",
        &[TRUST, BYSTANDER, "plugin install {asking} --yes --grant network=localhost:80"],
        "plugin revoke hooks network",
    ),
    operation("config-set", &[TRUST, BYSTANDER, INSTALL], "plugin config hooks set number 7"),
    operation(
        "config-unset",
        &[TRUST, BYSTANDER, INSTALL, "plugin config hooks set number 7"],
        "plugin config hooks unset number",
    ),
    operation("link", &[TRUST, BYSTANDER], LINK),
    operation("unlink", &[TRUST, BYSTANDER, LINK], "plugin unlink hooks"),
    operation("trust-project", &[TRUST, BYSTANDER], PROJECT),
    operation("untrust-project", &[TRUST, BYSTANDER, PROJECT], "plugin untrust-project {project}"),
    operation("refresh", &[TRUST, BYSTANDER, INSTALL, DAMAGE, "?plugin refresh", HEAL], "plugin refresh"),
    mending("repair-modes", &[TRUST, BYSTANDER, INSTALL, "!chmod 400 home/store/*/files/* home/store/*/index"]),
    mending("repair-file", &[TRUST, BYSTANDER, INSTALL, DAMAGE]),
    mending("repair-state", &[TRUST, BYSTANDER, INSTALL, "!printf x >>home/state"]),
    // A lock, and what is made from one: of a small plugin, which is compressed as well as can be.
    operation("lock", &[TRUST, TINY], "plugin lock"),
    Operation { reports: true, ..in_two_steps("install-in-project", &[TRUST, "plugin lock"], TINY) },
    operation(
        "install-locked",
        &[TRUST, TINY, "plugin lock", "plugin uninstall tiny --no-lock"],
        "plugin install --locked --yes",
    ),
    Operation {
        reports: true,
        ..in_two_steps(
            "upgrade-in-project",
            &[TRUST, TINY, "plugin lock", "!cp {newer-tiny} home/plugins/"],
            "plugin upgrade tiny --yes",
        )
    },
    Operation {
        reports: true,
        ..in_two_steps(
            "rollback-in-project",
            &[TRUST, TINY, "plugin lock", "plugin install {newer-tiny} --yes"],
            "plugin rollback tiny",
        )
    },
    Operation {
        reports: true,
        ..in_two_steps("uninstall-in-project", &[TRUST, TINY, "plugin lock"], "plugin uninstall tiny")
    },
    operation(
        "install-bundle",
        &[TRUST, TINY, "plugin bundle out.bundle", "plugin uninstall tiny"],
        "plugin install --bundle out.bundle --yes",
    ),
    operation("install-along", &[TRUST], "plugin install {needing} --yes"),
    operation("bundle", &[TRUST, TINY, "plugin disable tiny"], "plugin bundle out.bundle tiny"),
    operation("package", &[], "plugin package {scripts} --key {secret}"),
    operation("key-trust-first", &[], TRUST),
    operation("key-trust", &[TRUST, BYSTANDER], OTHER),
    operation("key-widen", &[TRUST, BYSTANDER, OTHER], "key trust {other} --scope more-*"),
    operation(
        "key-untrust",
        &[TRUST, BYSTANDER, OTHER, LIST, "key import list"],
        "key untrust {other-fingerprint} --forget-revocation",
    ),
    operation("key-revoke", &[TRUST, BYSTANDER, OTHER], "key revoke {other}"),
    operation("key-revoke-unknown", &[TRUST, BYSTANDER], "key revoke {other}"),
    operation("key-import-list", &[TRUST, BYSTANDER, OTHER, LIST], "key import list"),
    in_two_steps("key-import-rotation", &[TRUST, BYSTANDER, OTHER, ROTATION], "key import rotation"),
    operation("key-generate", &[TRUST], "key generate --no-passphrase"),
    operation("key-import-secret", &[TRUST], "key import {secret} --no-passphrase"),
    operation("key-sign-rotation", &[TRUST], ROTATION),
    operation("key-sign-list", &[TRUST], LIST),
    operation("key-renew-list", &[TRUST, LIST], "key revoke --list list --sign-with {secret}"),
];

/// The operations that a run is about: those whose name holds `MIGRAINE_CRASH_ONLY`, where that is set.
///
/// # Panics
/// There is none.
#[must_use]
pub fn chosen() -> Vec<&'static Operation> {
    let only = std::env::var("MIGRAINE_CRASH_ONLY").unwrap_or_default();
    let chosen: Vec<_> = OPERATIONS.iter().filter(|operation| operation.name.contains(&only)).collect();
    let names = || OPERATIONS.iter().map(|operation| operation.name).collect::<Vec<_>>().join(", ");
    assert!(!chosen.is_empty(), "no operation is named `{only}`; there are {}", names());
    chosen
}

/// That of this name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn named(name: &str) -> &'static Operation {
    OPERATIONS.iter().find(|operation| operation.name == name).expect("an operation of the table")
}

/// A disk that lines of commands left, by whose it is and by the lines.
type Disks = Mutex<BTreeMap<(User, &'static [&'static str]), Arc<Tree>>>;

/// Runs each line once on what the lines before it left, however many operations begin with them.
fn prepared(lines: &'static [&'static str], kit: &Kit) -> Arc<Tree> {
    static DISKS: Disks = Mutex::new(BTreeMap::new());
    let known = || DISKS.lock().expect("nobody panics with it").get(&(kit.user, lines)).cloned();
    if let Some(disk) = known() {
        return disk;
    }
    let disk = match lines.split_last() {
        None => Tree::read(Place::new(kit.user).path()),
        Some((line, earlier)) => {
            let place = Place::holding(&prepared(earlier, kit), kit.user);
            let (line, may_wait) = line.strip_prefix('?').map_or((*line, false), |line| (line, true));
            let done = match line.strip_prefix('!') {
                Some(line) => place.shell(&kit.words(line).join(" ")),
                None => place.run(&kit.words(line)),
            };
            assert!(done.code == 0 || may_wait, "{line}: {done:?}");
            Tree::read(place.path())
        }
    };
    let disk = Arc::new(disk);
    DISKS.lock().expect("nobody panics with it").insert((kit.user, lines), Arc::clone(&disk));
    disk
}

impl Operation {
    /// The disk that it acts on.
    ///
    /// # Panics
    /// What comes before it fails.
    pub(super) fn before(&self, kit: &Kit) -> Arc<Tree> {
        prepared(self.prepare, kit)
    }

    /// Its words.
    #[must_use]
    pub fn words(&self, kit: &Kit) -> Vec<String> {
        let json = ["--format", "json"].map(str::to_owned);
        json.into_iter().chain(kit.words(self.line)).collect()
    }
}

/// Plugins, keys and statements.
#[derive(Debug)]
pub struct Kit {
    user: User,
    words: Vec<(&'static str, String)>,
}

impl Kit {
    /// What a user needs for every operation: one for all tests, since what is packaged is compressed for longer than most of
    /// them run.
    ///
    /// # Panics
    /// Something cannot be built or written.
    #[must_use]
    pub fn of(user: User) -> &'static Self {
        static KITS: [OnceLock<Kit>; 2] = [OnceLock::new(), OnceLock::new()];
        KITS[usize::from(user == User::Plain)].get_or_init(|| Self::new(user))
    }

    fn new(user: User) -> Self {
        let folder = artifacts::kept_folder(&format!("kit-{user}"));
        let (own, other) = (key(), other_key());
        let secret = folder.join("secret");
        fs::write(&secret, other.render_plain().expect("a secret key").as_bytes()).expect("write a file");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("set a mode");
        user.give(&secret);
        let mut words = vec![
            ("key", own.public().to_string()),
            ("fingerprint", own.public().fingerprint().to_string()),
            ("other", other.public().to_string()),
            ("other-fingerprint", other.public().fingerprint().to_string()),
            ("third", SecretKey::from_seed(&[9; 32]).public().to_string()),
            ("secret", typed(&secret).to_owned()),
        ];
        for (word, name, bytes) in wares() {
            let path = folder.join(name);
            let parent = path.parent().expect("a ware lies in a folder");
            fs::create_dir_all(parent).expect("make a directory");
            fs::write(&path, bytes).expect("write a file");
            // What somebody else could change is not linked and no project.
            user.give(parent);
            user.give(&path);
            words.extend(word.map(|word| (word, typed(&path).to_owned())));
        }
        for (word, name) in [("project", "project"), ("scripts", "scripts")] {
            let path = folder.join(name);
            user.give(&path);
            words.push((word, typed(&path).to_owned()));
        }
        Self { user, words }
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> User {
        self.user
    }

    /// A line's words, with those in braces filled in.
    ///
    /// # Panics
    /// One in braces is unknown.
    #[must_use]
    pub fn words(&self, line: &str) -> Vec<String> {
        let word = |word: &str| match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
            None => word.to_owned(),
            Some(name) => {
                let found = self.words.iter().find(|(known, _)| *known == name);
                found.unwrap_or_else(|| panic!("the kit has no `{name}`")).1.clone()
            }
        };
        line.split(' ').map(word).collect()
    }
}

/// The word that stands for a file, its place in the kit, and what it holds. One without a word lies beside another.
type Ware = (Option<&'static str>, String, Vec<u8>);

/// What both users' kits hold.
fn wares() -> &'static [Ware] {
    static WARES: OnceLock<Vec<Ware>> = OnceLock::new();
    WARES.get_or_init(|| {
        let hooks = |changes: serde_json::Value| remade("hooks", &changes);
        let package = hooks(json!({"hooks": [], "permissions": []}));
        let newer = hooks(json!({"hooks": [], "permissions": [], "version": "1.1.0"}));
        let asking = hooks(json!({"hooks": [], "permissions": ["network=localhost:80"]}));
        let unsigned = hooks(json!({"hooks": [], "permissions": [], "description": "unsigned"})).unsigned();
        let bystander = plugin("hello-world");
        let newer_bystander = remade("hello-world", &json!({"version": "1.1.0"}));
        let ware = |word: Option<&'static str>, folder: &str, path: &Path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy();
            (word, format!("{folder}/{name}"), fs::read(path).expect("read what was packaged"))
        };
        let command = json!({"name": "go", "handler": {"type": "bash", "script": "echo hello"}});
        let scripts = json!({"name": "scripts", "version": "1.0.0", "commands": [command]}).to_string();
        vec![
            ware(Some("tiny"), "tiny", &tiny(&manifest("tiny", &json!({}))).package()),
            ware(Some("newer-tiny"), "newer-tiny", &tiny(&manifest("tiny", &json!({"version": "1.1.0"}))).package()),
            ware(
                Some("needing"),
                "along",
                &tiny(&manifest("needing", &json!({"dependencies": ["plugin:tiny ^1"]}))).package(),
            ),
            ware(None, "along", &tiny(&manifest("tiny", &json!({}))).package()),
            ware(Some("newer-bystander"), "newer", &newer_bystander.package()),
            ware(Some("linked"), "linked", &unsigned.library),
            ware(None, "project/plugins", &newer.package()),
            (None, "scripts/plugin.yaml".to_owned(), scripts.into_bytes()),
            ware(Some("package"), "package", &package.package()),
            ware(Some("newer"), "newer", &newer.package()),
            ware(Some("asking"), "asking", &asking.package()),
            ware(Some("bystander"), "bystander", &bystander.package()),
            ware(Some("library"), "library", &package.library),
            ware(None, "library", &package.sidecar()),
            ware(Some("unsigned"), "unsigned", &unsigned.library),
        ]
    })
}
