//! The ranks of `host/src` and the rules that go beyond ranks, as data.

/// A module of `host/src` and its rank: it may use modules of a smaller rank only.
pub(super) const RANKS: &[(&str, u8)] = &[
    ("bound", 0),
    ("code", 0),
    ("controls", 0),
    ("ids", 0),
    ("secrets", 0),
    ("text", 0),
    ("sys", 0),
    ("url", 0),
    ("family", 1),
    ("wire", 1),
    ("package", 1),
    ("policy", 1),
    ("trust", 2),
    ("store", 2),
    ("fetch", 2),
    ("sandbox", 2),
    ("worker", 2),
    ("runtime", 3),
    ("hooks", 4),
    ("workflow", 5),
    ("manage", 5),
    ("cli", 6),
];

/// Words that every module may use, those of the same rank included.
pub(super) const VOCABULARY: &[&str] = &["code", "ids", "text"];

/// `(module, what it never names, why)`, whatever the ranks say.
pub(super) const NEVER: &[(&str, &[&str], &str)] = &[
    ("cli", &["worker"], "only `main` enters the worker's program"),
    ("worker", &["manage", "store", "trust", "cli"], "code beside the plugin must not reach what the plugin may not"),
];

/// Path prefixes of the pure modules, and the files below them that are exempt.
pub(super) const PURE: &[&str] = &[
    "host/src/bound.rs",
    "host/src/secrets.rs",
    "host/src/url.rs",
    "host/src/package/",
    "host/src/package.rs",
    "host/src/policy/",
    "host/src/policy.rs",
    "host/src/trust/",
    "host/src/trust.rs",
    "host/src/hooks/plan",
    "host/src/hooks/chain",
];

/// The one file below a pure prefix that reads the disk.
pub(super) const NOT_PURE: &[&str] = &["host/src/trust/keyring"];

/// Paths that reach a clock, the environment, a file, a process or randomness.
pub(super) const IMPURE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "env"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "*"],
    &["crate", "sys"],
    &["getrandom"],
    &["libc"],
    &["nix"],
    &["rusqlite"],
];

/// Types that hold a clock, by whatever path they are named.
pub(super) const CLOCKS: &[&str] = &["SystemTime", "Instant"];
