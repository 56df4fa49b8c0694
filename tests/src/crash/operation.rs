//! The operations that change something on disk, and what they act on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use migraine_host::trust::SecretKey;
use serde_json::json;
use tempfile::TempDir;

use super::place::Place;
use crate::package::{Parcel, key, other_key, plugin, remade, typed};
use crate::run::User;

/// An operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    /// Command lines that come before it. One that begins with `?` may end with an error: a plugin that waits for consent.
    prepare: &'static [&'static str],
    /// Its command line. A word in braces stands for something of [`Kit`].
    line: &'static str,
    /// Two things change, one after the other, each with a meaning of its own: in between lies a third state, which
    /// ARCHITECTURE.md allows by name.
    pub in_two_steps: bool,
}

const TRUST: &str = "key trust {key} --scope * --label tests";
/// Somebody else's plugin, which must go on working.
const BYSTANDER: &str = "plugin install {bystander} --yes";
const INSTALL: &str = "plugin install {package} --yes";
const OTHER: &str = "key trust {other} --scope other-* --label other";
const LIST: &str = "key revoke {third} --list list --sign-with {secret}";
const ROTATION: &str = "key rotate {secret} {third} --out rotation";

const fn operation(name: &'static str, prepare: &'static [&'static str], line: &'static str) -> Operation {
    Operation { name, prepare, line, in_two_steps: false }
}

const fn in_two_steps(name: &'static str, prepare: &'static [&'static str], line: &'static str) -> Operation {
    Operation { name, prepare, line, in_two_steps: true }
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
    operation("key-trust-first", &[], TRUST),
    operation("key-trust", &[TRUST, BYSTANDER], OTHER),
    operation("key-widen", &[TRUST, BYSTANDER, OTHER], "key trust {other} --scope more-*"),
    operation("key-untrust", &[TRUST, BYSTANDER, OTHER, LIST, "key import list"], "key untrust {other-fingerprint}"),
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

impl Operation {
    /// A home that it can act on.
    ///
    /// # Panics
    /// What comes before it fails.
    #[must_use]
    pub fn place(&self, kit: &Kit) -> Place {
        let place = Place::new(kit.user);
        for line in self.prepare {
            let (line, may_wait) = line.strip_prefix('?').map_or((*line, false), |line| (line, true));
            let done = place.run(&kit.words(line));
            assert!(done.code == 0 || may_wait, "{}: {line}: {done:?}", self.name);
        }
        place
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
    _folder: TempDir,
    _parcels: Vec<Parcel>,
}

impl Kit {
    /// What a user needs for every operation.
    ///
    /// # Panics
    /// Something cannot be built or written.
    #[must_use]
    pub fn new(user: User) -> Self {
        let open = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("migraine-kit-").permissions(open).tempdir();
        let folder = folder.expect("make a directory");
        let hooks = |changes: serde_json::Value| remade("hooks", &changes);
        let package = hooks(json!({"hooks": [], "permissions": []}));
        let newer = hooks(json!({"hooks": [], "permissions": [], "version": "1.1.0"}));
        let asking = hooks(json!({"hooks": [], "permissions": ["network=localhost:80"]}));
        let unsigned = hooks(json!({"hooks": [], "permissions": [], "description": "unsigned"})).unsigned();
        let bystander = plugin("hello-world");
        let (own, other) = (key(), other_key());
        let secret = folder.path().join("secret");
        fs::write(&secret, other.render_plain().expect("a secret key").as_bytes()).expect("write a file");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("set a mode");
        user.give(&secret);
        let file = |parcel: &Parcel| typed(&parcel.package()).to_owned();
        let words = vec![
            ("package", file(&package)),
            ("newer", file(&newer)),
            ("asking", file(&asking)),
            ("bystander", file(&bystander)),
            ("library", package.typed().to_owned()),
            ("unsigned", unsigned.typed().to_owned()),
            ("key", own.public().to_string()),
            ("fingerprint", own.public().fingerprint().to_string()),
            ("other", other.public().to_string()),
            ("other-fingerprint", other.public().fingerprint().to_string()),
            ("third", SecretKey::from_seed(&[9; 32]).public().to_string()),
            ("secret", typed(&secret).to_owned()),
        ];
        Self { user, words, _folder: folder, _parcels: vec![package, newer, asking, unsigned, bystander] }
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
