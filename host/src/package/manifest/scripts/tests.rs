//! What a manifest may say of scripts.

use migraine_plugin_api::Manifest;
use serde_json::json;

use super::{bytes, check_size, needed_files};
use crate::package::PackageError;
use crate::package::manifest::{parse, parse_yaml};

/// The manifest of the first design document, by the letter.
const LOG_PROCESSOR: &str = include_str!("../../../../../examples/log-processor/log-processor.yaml");

fn findings(read: Result<Manifest, PackageError>) -> Vec<String> {
    match read {
        Ok(_) => Vec::new(),
        Err(PackageError::Manifest { findings }) => findings,
        Err(other) => panic!("{other}"),
    }
}

fn asked(manifest: &Manifest) -> Vec<String> {
    manifest.permissions.iter().map(ToString::to_string).collect()
}

// covers: S7, S8, S9, S10, S11, S12, S13, S14, S15, S16, S17, S19, S20
#[test]
fn the_short_form_asks_for_the_directories_of_its_paths() {
    let manifest = parse_yaml(LOG_PROCESSOR.as_bytes()).unwrap();
    assert_eq!(asked(&manifest), ["filesystem=write:{{directory config.log_file}}"]);
    assert_eq!(manifest.hooks[0].scripts().len(), 2);
    let needed = needed_files(&manifest);
    assert_eq!(needed[0].paths, ["log_processor.py", "log_processor/__init__.py"]);
    assert_eq!(needed.len(), 1);
    // Whoever writes the key means what it says.
    for key in ["permissions: []", "permissions:"] {
        let none = parse_yaml(format!("{LOG_PROCESSOR}{key}\n").as_bytes()).unwrap();
        assert_eq!(asked(&none), Vec::<String>::new(), "{key}");
    }
    let json = |more: &str| {
        let text = format!(
            r#"{{"name":"a","version":"1.0.0","config":{{"f":"/srv/a/b.txt","g":"docker.io","h":"~/x","i":3}},{more}}}"#
        );
        parse(text.as_bytes()).unwrap()
    };
    let hook = r#""hooks":[{"event":"post-command","script":"echo"}]"#;
    assert_eq!(
        asked(&json(hook)),
        ["filesystem=write:{{directory config.f}}", "filesystem=write:{{directory config.h}}"]
    );
    assert_eq!(asked(&json(&format!(r#"{hook},"permissions":[]"#))), Vec::<String>::new());
    // A library's manifest is complete: what it does not say is not asked for.
    assert_eq!(asked(&json(r#""hooks":["post-command"]"#)), Vec::<String>::new());
}

#[test]
fn one_handler_answers_all_that_name_none() {
    let text = r#"{"name":"a","version":"1.0.0","handler":{"type":"executable","program":"a.pl","interpreter":"perl"},
        "commands":["b",{"name":"c","handler":{"type":"python","module":"x.y","function":"c"}}],
        "hooks":[{"event":"workflow:post-deploy","command":"b --d {{e}}"}]}"#;
    let manifest = parse(text.as_bytes()).unwrap();
    let paths: Vec<_> = needed_files(&manifest).into_iter().map(|needed| needed.paths).collect();
    assert_eq!(paths, [vec!["x/y.py", "x/y/__init__.py"], vec!["a.pl"]]);
    assert_eq!(manifest.commands[0].handler, manifest.handler);
    assert!(manifest.hooks[0].scripts().is_empty());
}

#[test]
fn handlers_follow_their_grammar() {
    let check = |fields: &str, expected: Option<&str>| {
        let found = findings(parse(format!(r#"{{"name":"a","version":"1.0.0",{fields}}}"#).as_bytes()));
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{fields}"),
            Some(text) => assert!(found.len() == 1 && found[0].contains(text), "{fields}: {found:?}"),
        }
    };
    let hook = |fields: &str, expected: Option<&str>| {
        check(&format!(r#""hooks":[{{"event":"post-command",{fields}}}]"#), expected);
    };
    let python = |module: &str, function: &str, expected: Option<&str>| {
        hook(&format!(r#""handler":{{"type":"python","module":"{module}","function":"{function}"}}"#), expected);
    };
    python("a.b_c", "_d1", None);
    for module in ["", ".a", "a.", "a..b", "../a", "a/b", "a-b", "1a", "a b", "\u{e9}", &"a".repeat(300)] {
        python(module, "f", Some("is no Python module"));
    }
    for function in ["", "a.b", "a()", "f;", "1"] {
        python("a", function, Some("is no name of a Python function"));
    }
    hook(r#""handler":{"type":"bash","file":"../x.sh"}"#, Some("is no path of a package"));
    hook(r#""handler":{"type":"bash","file":"/etc/passwd"}"#, Some("is no path of a package"));
    hook(r#""script":" \n""#, Some("the script is empty"));
    hook(&format!(r#""script":"{}""#, "a".repeat(70_000)), Some("more than 65536"));
    hook(r#""handler":{"type":"ruby"}"#, Some("unknown variant `ruby`"));
    hook(r#""handler":{"type":"bash"}"#, Some("needs a `script`"));
    hook(r#""handler":{"type":"executable","program":"a"}"#, Some("`protocol: json`"));
    hook(r#""handler":{"type":"executable","program":"a","protocol":"json","interpreter":"/usr/bin/perl"}"#, None);
    for bad in ["", "perl -w", "./perl", "bin/perl", "/usr/../perl", "/", "-w"] {
        let text =
            format!(r#""handler":{{"type":"executable","program":"a","protocol":"json","interpreter":"{bad}"}}"#);
        hook(&text, Some("is no interpreter"));
    }
    hook(r#""on_error":{"type":"bash","script":"a"}"#, Some("nothing answers it"));
    hook(r#""handler":"native","script":"a""#, Some("a handler of a library"));
    check(
        r#""commands":["b"],"hooks":[{"event":"post-command","command":"b","script":"a"}],
        "handler":{"type":"bash","file":"x.sh"}"#,
        Some("a bound command has no `script`"),
    );
    check(r#""commands":["b"],"hooks":[{"event":"post-command","script":"a"}]"#, Some("nothing answers `b`"));
}

// covers: S9
#[test]
fn the_type_is_checked_against_the_hooks() {
    let check = |kind: &str| findings(parse(LOG_PROCESSOR_JSON.replace("KIND", kind).as_bytes()));
    assert_eq!(check("command-output-interceptor"), Vec::<String>::new());
    assert_eq!(check("command_output-interceptor"), Vec::<String>::new());
    assert!(check("pre-command-interceptor")[0].contains("without a subscription to `pre-command`"));
    for kind in ["", "interceptor", "tool"] {
        assert!(check(kind)[0].contains("is none"), "{kind}");
    }
}

const LOG_PROCESSOR_JSON: &str =
    r#"{"name":"a","version":"1.0.0","type":"KIND","hooks":[{"event":"command-output","script":"a"}]}"#;

// covers: S20, S109
#[test]
fn sizes_are_whole_numbers_with_a_unit() {
    for (size, expected) in [("10MB", 10 << 20), ("1KB", 1 << 10), ("0GB", 0), ("3GB", 3 << 30)] {
        assert_eq!(bytes(size), Some(expected), "{size}");
        assert_eq!(check_size("max_file_size", &json!(size)), Ok(()));
    }
    for size in ["", "10", "MB", "10mb", "10 MB", "-1MB", "+1MB", "1.5MB", "10XB", "99999999999GB", "10MiB"] {
        assert_eq!(bytes(size), None, "{size}");
        assert!(check_size("max_file_size", &json!(size)).is_err(), "{size}");
        let text = LOG_PROCESSOR.replace("10MB", size);
        assert!(findings(parse_yaml(text.as_bytes()))[0].contains("is no size"), "{size}");
    }
    assert_eq!(check_size("log_file", &json!("10XB")), Ok(()));
    assert_eq!(check_size("max_size", &json!(10)), Ok(()));
}
