//! What a manifest may say.

use super::*;
use crate::code::{Code, Coded as _};

fn findings(text: &str) -> Vec<String> {
    match parse(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(PackageError::Manifest { findings }) => findings,
        Err(other) => panic!("{other}"),
    }
}

fn with(field: &str) -> String {
    format!(r#"{{"name":"a","version":"1.0.0",{field}}}"#)
}

// A140: names and versions that would be paths or options.
#[test]
fn names_and_versions_are_strict() {
    for name in ["", ".", "..", "a/b", "-rf", "CON", &"a".repeat(300)] {
        let found = findings(&format!(r#"{{"name":"{name}","version":"1.0.0"}}"#));
        assert!(found.len() == 1 && found[0].starts_with("name: "), "{name}: {found:?}");
    }
    for version in ["", "1", "latest", "1.0.0/../../x", &"1".repeat(300)] {
        let found = findings(&format!(r#"{{"name":"a","version":"{version}"}}"#));
        assert!(found.len() == 1 && found[0].starts_with("version: "), "{version}: {found:?}");
    }
    let error = parse(br#"{"name":"install","version":"1.0.0"}"#).unwrap_err();
    assert_eq!(error.code(), Code::NameReserved);
    assert!(parse(br#"{"name":"a","version":"1.0.0"}"#).is_ok());
}

#[test]
fn fields_follow_their_grammar() {
    let check = |field: &str, expected: Option<&str>| {
        let found = findings(&with(field));
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{field}"),
            Some(text) => assert!(found.len() == 1 && found[0].contains(text), "{field}: {found:?}"),
        }
    };
    check(r#""commands":["hello","my_command","my-command","a1"]"#, None);
    check(r#""commands":["a","a"]"#, Some("`a` is there twice"));
    for name in ["", "-a", "_a", "A", "a b", "a/b", "1a"] {
        check(&format!(r#""commands":["{name}"]"#), Some("is no name"));
    }
    for event in ["pre-command", "post_command", "plugin_install", "workflow:pre-deploy", "command-error"] {
        check(&format!(r#""hooks":["{event}"]"#), None);
    }
    for event in ["", ":", "a:", ":a", "a:b:c", "Pre", "pre command", "-pre"] {
        check(&format!(r#""hooks":["{event}"]"#), Some("is no event name"));
    }
    check(r#""hooks":[{"event":"pre-command","pattern":"^cargo (build|test)\\b.*$"}]"#, None);
    check(r#""hooks":[{"event":"pre-command","pattern":"("}]"#, Some("unclosed group"));
    check(r#""hooks":[{"event":"pre-command","pattern":"(\\w{100}){100}"}]"#, Some("the pattern"));
    check(&format!(r#""hooks":[{{"event":"pre-command","pattern":"{}"}}]"#, "a".repeat(2000)), Some("more than 1024"));
    check(r#""hooks":[{"event":"pre-command","before":["../x"]}]"#, Some("hooks[0].before"));
    check(r#""commands":["a"],"hooks":[{"event":"workflow:post-deploy","command":"a --b '{{c}} d'"}]"#, None);
    for (hook, part) in [
        (r#""command":"b --b {{c}}""#, "hooks[0]: the plugin has no command `b`"),
        (r#""command":"a","handler":"a""#, "a handler and a command"),
        (r#""command":"a 'b""#, "is refused: a quote"),
        (r#""command":"a {{b""#, "is refused"),
        (r#""command":"{{a}}""#, "is refused"),
        (r#""command":"""#, "is refused"),
        (r#""command":["a"]"#, "expected a string"),
    ] {
        check(&format!(r#""commands":["a"],"hooks":[{{"event":"post-command",{hook}}}]"#), Some(part));
    }
    check(r#""commands":[{"name":"a","timeout":600},{"name":"b","timeout":"none"}]"#, None);
    for timeout in ["0", "-1", "1.5", "\"600\"", "\"None\"", "4294967296", "true", "null"] {
        let expected = if timeout == "null" { None } else { Some("a timeout is a number of seconds or `none`") };
        check(&format!(r#""commands":[{{"name":"a","timeout":{timeout}}}]"#), expected);
    }
    check(r#""config":{"a.b-c_d":1,"x":"y","z":null,"f":true}"#, None);
    check(r#""config":{"a":[1]}"#, Some("is a list or a map"));
    check(r#""config":{"a":{}}"#, Some("is a list or a map"));
    check(r#""config":{"":1}"#, Some("is no key"));
    check(r#""config":{"a b":1}"#, Some("is no key"));
    check(&format!(r#""description":"{}""#, "d".repeat(1025)), Some("description"));
    check(&format!(r#""dependencies":["{}"]"#, "d".repeat(1025)), Some("dependencies"));
    check(r#""dependencies":["git","docker-socket","plugin:log-tools ^1.2","Docker running"]"#, None);
    check(r#""dependencies":["plugin:../x"]"#, Some("dependencies"));
    check(r#""dependencies":["plugin:log-tools latest"]"#, Some("dependencies"));
    check(
        &format!(r#""commands":[{}]"#, (0..300).map(|at| format!("\"c{at}\"")).collect::<Vec<_>>().join(",")),
        Some("300 are too many"),
    );
    check(r#""permissions":["sudo"]"#, Some("not a permission"));
    check(r#""unknown":[{"deep":1}]"#, None);
    check(r#""name":"b""#, Some("duplicate field"));
}

// All findings at once, each on a line of its own, whatever the text.
#[test]
fn all_findings_are_in_one_error() {
    let text = r#"{"name":"A\u001b[2J\nok","version":"x","commands":["-"],"config":{"a":[]}}"#;
    let error = parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::ManifestInvalid);
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), 5, "{shown}");
    assert!(!shown.contains('\u{1b}'));
    let reserved = findings(r#"{"name":"run","version":"x"}"#);
    assert!(reserved.len() == 2 && reserved[0].contains("own words"), "{reserved:?}");
    let many = (0..200).map(|at| format!("\"-{at}\"")).collect::<Vec<_>>().join(",");
    let found = findings(&with(&format!(r#""commands":[{many}]"#)));
    assert!(found.len() == 21 && found[20] == "and 180 more", "{found:?}");
}

// A141: deep and large texts end at once.
#[test]
fn depth_and_size_are_capped() {
    for field in ["config", "permissions", "commands", "hooks"] {
        let deep = with(&format!(r#""{field}":{}"#, r#"{"a":["#.repeat(30_000)));
        assert!(!findings(&deep).is_empty(), "{field}");
    }
    let deep = with(&format!(r#""config":{{"a":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000)));
    assert!(findings(&deep)[0].contains("128 levels"));
    let large = with(&format!(r#""x":"{}""#, "x".repeat(MANIFEST_MAX)));
    assert_eq!(parse(large.as_bytes()).unwrap_err().code(), Code::LimitPackage);
    for bad in ["", "null", "[]", "{}", "{\"name\":\"a\",\"version\":\"1.0.0\"}{}", "\u{feff}{}", "name: a"] {
        assert!(!findings(bad).is_empty(), "{bad}");
    }
}

// covers: A141
#[test]
fn json_has_a_depth_in_what_is_passed_over_too() {
    let nested = |levels: usize| {
        let value = format!("{}\"[{{\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
        format!("{{\"name\":\"a\",\"version\":\"1.0.0\",\"api_version\":\"1.0\",\"unknown\":{value}}}")
    };
    assert!(parse(nested(127).as_bytes()).is_ok());
    for levels in [128, 100_000] {
        let error = parse(nested(levels).as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::ManifestInvalid, "{levels}: {error}");
        assert!(error.to_string().contains("128 levels"), "{error}");
    }
}
