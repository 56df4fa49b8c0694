//! Every key, with good and bad values.

use super::*;

/// The file, or the end of the reason why it is none.
fn read(text: &str) -> Result<PolicyFile, String> {
    PolicyFile::parse(text)
}

#[track_caller]
fn refused(text: &str, wanted: &[&str]) {
    let error = read(text).expect_err(text);
    for wanted in wanted {
        assert!(error.contains(wanted), "{text:?}: `{wanted}` is missing: {error}");
    }
}

#[test]
fn the_documented_file_has_every_key_and_holds_the_defaults() {
    let text = include_str!("../example.yaml");
    let file = read(text).unwrap();
    let keys: Vec<&str> = text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key.trim()).collect();
    let top = [
        "require_signatures",
        "allow_unsigned_dev",
        "max_plugin_size",
        "allowed_extensions",
        "dangerous_permission_combos",
        "permissions",
        "limits",
        "sandbox",
        "proxy",
    ];
    let kinds = PermissionKind::ALL.map(PermissionKind::as_str);
    for key in top.iter().chain(&kinds).chain(LimitCaps::KEYS) {
        assert!(keys.contains(key), "the example has no `{key}`");
    }
    assert_eq!((file.require_signatures, file.allow_unsigned_dev), (Some(Signatures::default()), Some(false)));
    assert_eq!(file.max_plugin_size, Some(super::super::PLUGIN_SIZE));
    let extensions = super::super::EXTENSIONS.map(str::to_owned).into_iter().collect();
    assert_eq!(file.allowed_extensions, Some(extensions));
    assert_eq!(file.dangerous_permission_combos.len(), 1);
    assert_eq!(file.permissions.of(PermissionKind::Network).unwrap().len(), 2);
    assert_eq!(file.permissions.of(PermissionKind::Filesystem).unwrap().len(), 2);
    assert_eq!(file.permissions.of(PermissionKind::TaskRead), None);
    assert_eq!(file.permissions.of(PermissionKind::UserAuth), Some(&[][..]));
    assert_eq!((file.limits.memory, file.limits.proxy_idle), (Some(64 << 20), Some(60)));
    assert_eq!(file.proxy.unwrap().to_string(), "proxy.example.com:3128");
}

#[test]
fn a_file_without_a_word_says_nothing() {
    for text in [
        "",
        "# nothing\n",
        "---\n# nothing\n...\n",
        "{}",
        "limits: {}",
        "permissions: {}",
        "dangerous_permission_combos: []",
    ] {
        assert_eq!(read(text), Ok(PolicyFile::default()), "{text:?}");
    }
}

#[test]
fn what_is_not_understood_is_refused_by_its_name() {
    refused("limit: {}", &["unknown field `limit`", "require_signatures"]);
    refused("limits:\n  command_wal: 60\n", &["limits: unknown field `command_wal`", "command_wall", "line 2"]);
    refused("permissions: {disk: []}", &["permissions: unknown field `disk`", "filesystem"]);
    refused("permissions: {filesystem: {exec: []}}", &["unknown field `exec`"]);
    refused("limits: {}\nlimits: {}\n", &["duplicate"]);
    refused("limits:\n  cpu: 1\n  cpu: 2\n", &["duplicate"]);
    for text in ["---\n{}\n---\n{}\n", "[]", "60", "limits: [", "limits: 5"] {
        refused(text, &[]);
    }
    // Nor is a value that says nothing the same as no text.
    for text in ["null", "~\n", "# nothing\n---\nnull # really\n", "--- ~", "!!null ~"] {
        refused(text, &["says nothing"]);
    }
    // A key without a value is not the same as no key.
    for key in ["require_signatures", "allow_unsigned_dev", "max_plugin_size", "allowed_extensions", "proxy"] {
        refused(&format!("{key}:\n"), &[key]);
    }
    for key in ["limits", "permissions", "dangerous_permission_combos"] {
        refused(&format!("{key}:\n"), &[key]);
    }
}

#[test]
fn signatures_are_never_switched_off() {
    let signatures = |text: &str| read(text).map(|file| file.require_signatures);
    assert_eq!(signatures("require_signatures: true"), Ok(Some(Signatures::Required)));
    assert_eq!(signatures("require_signatures: always"), Ok(Some(Signatures::Always)));
    refused("require_signatures: false", &["require_signatures", "--allow-unsigned", "allow_unsigned_dev"]);
    for value in ["never", "1", "Always", "\"true\"", "[true]"] {
        refused(&format!("require_signatures: {value}"), &["require_signatures", "true or always"]);
    }
    assert_eq!(read("allow_unsigned_dev: true").unwrap().allow_unsigned_dev, Some(true));
    for value in ["1", "always", "\"true\""] {
        refused(&format!("allow_unsigned_dev: {value}"), &["allow_unsigned_dev", "a boolean"]);
    }
}

#[test]
fn sizes_and_extensions_have_their_form() {
    for (value, bytes) in [("10MB", 10_000_000), ("10 MiB", 10 << 20), ("1024", 1024), ("\"64 MiB\"", 64 << 20)] {
        assert_eq!(read(&format!("max_plugin_size: {value}")).unwrap().max_plugin_size, Some(bytes));
    }
    for value in ["0", "65 MiB", "-1", "1.5", "ten", "true", "[1]", "1 MiBB"] {
        refused(&format!("max_plugin_size: {value}"), &["max_plugin_size"]);
    }
    let extensions = read("allowed_extensions: [SO, json]").unwrap().allowed_extensions.unwrap();
    assert_eq!(extensions.into_iter().collect::<Vec<_>>(), ["json", "so"]);
    assert_eq!(read("allowed_extensions: []").unwrap().allowed_extensions, Some(BTreeSet::new()));
    for value in ["so", "[.so]", "[\"\"]", "[tar.gz]", "[\"*\"]", "[[so]]", "{so: true}"] {
        refused(&format!("allowed_extensions: {value}"), &["allowed_extensions"]);
    }
}

#[test]
fn a_combination_is_two_kinds() {
    use PermissionKind::{Exec, Network};
    for value in ["[[exec, network]]", "[[network, exec]]", "[[network, exec], [exec, network]]"] {
        let combos = read(&format!("dangerous_permission_combos: {value}")).unwrap().dangerous_permission_combos;
        assert_eq!(combos.into_iter().collect::<Vec<_>>(), [(Network, Exec)]);
    }
    for value in ["[exec]", "[[exec]]", "[[exec, exec]]", "[[exec, network, task_read]]", "[[exec, disk]]", "exec"] {
        refused(&format!("dangerous_permission_combos: {value}"), &["dangerous_permission_combos"]);
    }
}

#[test]
fn permissions_are_capped_by_scopes_of_their_kind() {
    let of = |text: &str, kind| {
        let file = read(&format!("permissions: {{{text}}}")).unwrap();
        file.permissions.of(kind).map(|most| most.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    use PermissionKind::{EnvVars, Exec, Filesystem, Network, TaskWrite};
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        of("network: [\"*.a.example:443\", unix:/run/x]", Network),
        texts(&["network=*.a.example:443", "network=unix:/run/x"])
    );
    assert_eq!(of("exec: [git]", Exec), texts(&["exec=git"]));
    assert_eq!(of("env_vars: [LANG]", EnvVars), texts(&["env_vars=LANG"]));
    assert_eq!(
        of("filesystem: {read: [/srv], write: [/srv/x]}", Filesystem),
        texts(&["filesystem=read:/srv", "filesystem=write:/srv/x"])
    );
    assert_eq!(of("filesystem: {read: [/srv]}", Filesystem), texts(&["filesystem=read:/srv"]));
    for (text, kind) in [("network: true", Network), ("filesystem: true", Filesystem), ("task_write: true", TaskWrite)]
    {
        assert_eq!(of(text, kind), None, "{text}");
    }
    for (text, kind) in [
        ("network: false", Network),
        ("network: []", Network),
        ("filesystem: false", Filesystem),
        ("filesystem: {}", Filesystem),
        ("task_write: false", TaskWrite),
    ] {
        assert_eq!(of(text, kind), texts(&[]), "{text}");
    }
    for text in [
        "network: [example.com]",
        "network: example.com:443",
        "network: [\"{{config.endpoint}}\"]",
        "exec: [git status]",
        "exec: [\"*\"]",
        "env_vars: [LD_PRELOAD]",
        "filesystem: [/srv]",
        "filesystem: {read: /srv}",
        "filesystem: {read: [srv]}",
        "filesystem: {read: [~/srv]}",
        "filesystem: {read: [\"*\"]}",
        "filesystem: {read: [/srv/../etc]}",
        "task_read: []",
        "task_read: 1",
        "network: 1",
    ] {
        let key = text.split_once(':').unwrap().0;
        refused(&format!("permissions: {{{text}}}"), &["permissions", key]);
    }
}

#[test]
fn limits_are_whole_numbers_in_their_unit() {
    for key in LimitCaps::KEYS {
        let is_size = read(&format!("limits: {{{key}: 64 MiB}}")).is_ok();
        assert_eq!(is_size, read(&format!("limits: {{{key}: 64}}")).is_err(), "{key}: a size has a unit");
        for value in ["0", "-1", "1.5", "none", "\"\"", "true", "[1]", "99999999999999999999"] {
            refused(&format!("limits: {{{key}: {value}}}"), &["limits", key]);
        }
    }
    let limits = read("limits: {command_wall: 60, memory: 65536, proxy_bytes: 1GB}").unwrap().limits;
    assert_eq!((limits.command_wall, limits.memory, limits.proxy_bytes), (Some(60), Some(65536), Some(1_000_000_000)));
    refused("limits: {command_wall: 4294967296}", &["limits.command_wall"]);
    refused("limits: {memory: 64}", &["64 MiB"]);
}

#[test]
fn a_proxy_is_an_endpoint() {
    for (text, endpoint) in [
        ("proxy.example.com:3128", "proxy.example.com:3128"),
        ("http://Proxy.example.com:3128/", "proxy.example.com:3128"),
        ("\"[::1]:3128\"", "[::1]:3128"),
        ("unix:/run/proxy.sock", "unix:/run/proxy.sock"),
    ] {
        assert_eq!(read(&format!("proxy: {text}")).unwrap().proxy.unwrap().to_string(), endpoint);
    }
    for text in [
        "none",
        "proxy.example.com",
        "https://proxy.example.com:443",
        "socks5://127.0.0.1:1080",
        "http://user:password@proxy.example.com:3128",
        "http://proxy.example.com:3128/path",
        "3128",
        "true",
    ] {
        refused(&format!("proxy: {text}"), &["proxy"]);
    }
}
