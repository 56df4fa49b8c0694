//! Tests of sources, rules and substitution.

use std::path::Path;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn resolve(yaml: &str, names: &[&str], flags: &[(&str, &str)], answer: Option<&str>) -> (Variables, Vec<String>) {
    let workflow = super::super::file::parse(Path::new("w.yaml"), yaml).unwrap();
    let mut asked = Vec::new();
    let variables = Variables::resolve(
        &workflow,
        &names.iter().map(ToString::to_string).collect(),
        &mut Sources {
            flags: &map(flags),
            environment: &|name| map(&[("HOME", "/h"), ("EMPTY", "")]).remove(name),
            env_file: &map(&[("a", "file"), ("b", "file"), ("unused", "file"), ("HOME", "file")]),
            ask: &mut |name, _| {
                asked.push(name.to_owned());
                answer.map(str::to_owned)
            },
        },
    );
    (variables.unwrap(), asked)
}

#[test]
fn substitution_is_raw_and_happens_once() {
    let values =
        map(&[("x", "1"), (" y ", "spaces"), ("q", "it's; $(id)"), ("n", "{{x}}"), ("{x", "odd"), ("a|b", "p")]);
    let variables = Variables { values, ..Variables::default() };
    let check = |command: &str, expected: Result<&str, &[&str]>| match (variables.substitute("s", command), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{command}"),
        (Err(WorkflowError::VariableMissing { names, .. }), Err(expected)) => assert_eq!(names, expected, "{command}"),
        (found, expected) => panic!("{command}: {found:?} instead of {expected:?}"),
    };
    check("plain", Ok("plain"));
    check("{{x}}{{x}} {{ x }}", Ok("11 1"));
    check("{{ y }}", Ok("spaces"));
    check("{{q}}", Ok("it's; $(id)"));
    check("echo {{q | sh}} {{q|sh}}", Ok(r"echo 'it'\''s; $(id)' 'it'\''s; $(id)'"));
    check("{{n}} {{n|sh}}", Ok("{{x}} '{{x}}'"));
    check("{{a|b}}", Ok("p"));
    check("{{{x}}}", Ok("odd}"));
    check("{{}} {x} ${x} {{a}b}}", Ok("{{}} {x} ${x} {{a}b}}"));
    check("{{zz}} {{ aa }} {{x}} {{aa | sh}}", Err(&["aa", "zz"]));
    check("{{x | upper}}", Err(&["x | upper"]));
    assert_eq!(names_in("{{a}} {{ b | sh }} {{}} {{a}}").collect::<Vec<_>>(), ["a", "b", "a"]);
}

#[test]
fn the_strongest_source_counts() {
    let config =
        "config: {variables: {c: text, from_flag: 'args:f', home: 'env:HOME', a: 'env:EMPTY', v: 'vault:k', n: 7}}";
    let names = ["a", "b", "c", "d", "from_flag", "home", "v"];
    let check = |yaml: &str, flags: &[(&str, &str)], answer, expected: &[(&str, &str)], asked: &[&str]| {
        let (variables, questions) = resolve(yaml, &names, flags, answer);
        assert_eq!(variables.values(), &map(expected), "{yaml}");
        assert_eq!(questions, asked, "{yaml}");
    };
    let base = [("a", "file"), ("b", "file"), ("c", "text"), ("home", "/h"), ("n", "7")];
    check(config, &[], None, &base, &["d", "from_flag", "v"]);
    check(
        config,
        &[("b", "flag"), ("c", "flag"), ("f", "via"), ("d", ""), ("v", "1")],
        Some("x"),
        &[
            ("a", "file"),
            ("b", "flag"),
            ("c", "flag"),
            ("d", ""),
            ("f", "via"),
            ("from_flag", "via"),
            ("home", "/h"),
            ("n", "7"),
            ("v", "1"),
        ],
        &[],
    );
    check(&format!("{config}\nuse_vault: true"), &[], Some("x"), &[("c", "text"), ("home", "/h"), ("n", "7")], &[]);
    check(
        "name: x",
        &[],
        Some("typed"),
        &[
            ("a", "file"),
            ("b", "file"),
            ("c", "typed"),
            ("d", "typed"),
            ("from_flag", "typed"),
            ("home", "typed"),
            ("v", "typed"),
        ],
        &["c", "d", "from_flag", "home", "v"],
    );
}

#[test]
fn a_list_is_rules_and_never_a_value() {
    let yaml = "config: {variables: {p: [slugify], r: [required], b: [slugify, required, validate_email]}}";
    let (variables, _) = resolve(yaml, &["p", "r", "b"], &[("p", "My Cool  App!"), ("r", "  ")], None);
    assert_eq!(variables.values(), &map(&[("p", "my-cool-app"), ("b", "file")]));
    assert_eq!(variables.warnings(), ["variable `b`: the rule `validate_email` is not known; ignored"]);
    assert!(variables.substitute("s", "{{r}}").is_err());
}

#[test]
fn flags_are_key_and_value() {
    assert_eq!(parse_flag("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
    assert_eq!(parse_flag("a=").unwrap(), ("a".to_owned(), String::new()));
    assert!(parse_flag("a").is_err() && parse_flag("=b").is_err() && parse_flag("").is_err());
}

#[test]
fn what_is_declared_secret_is_known_as_such() {
    let (variables, _) =
        resolve("config: {variables: {a: [secret], b: {value: 'text', secret: true}}}", &["a"], &[], None);
    assert_eq!(variables.secrets(), &Secrets::new(["file", "text"]).unwrap());
    assert_eq!(variables.values(), &map(&[("a", "file"), ("b", "text")]));
    let (variables, _) = resolve("config: {variables: {c: [secret]}}", &[], &[], None);
    assert!(variables.secrets().is_empty());
}

#[test]
fn a_secret_is_asked_for_as_one_and_must_be_long_enough() {
    let ask = |answer: &str| {
        let workflow = super::super::file::parse(Path::new("w.yaml"), "config: {variables: {pin: [secret]}}").unwrap();
        let names = ["pin", "plain"].map(str::to_owned).into();
        let mut asked = Vec::new();
        let mut ask = |name: &str, is_secret| {
            asked.push((name.to_owned(), is_secret));
            Some(answer.to_owned())
        };
        let (none, environment) = (BTreeMap::new(), |_: &str| None);
        let mut sources = Sources { flags: &none, environment: &environment, env_file: &none, ask: &mut ask };
        let resolved = Variables::resolve(&workflow, &names, &mut sources).map_err(|error| error.to_string());
        assert_eq!(asked, [("pin".to_owned(), true), ("plain".to_owned(), false)]);
        resolved.map(|variables| variables.secrets().clone())
    };
    assert_eq!(ask("12345"), Ok(Secrets::new(["12345"]).unwrap()));
    let error = ask("123").unwrap_err();
    assert!(error.contains("`pin`") && error.contains("fewer than 4") && !error.contains("123"), "{error}");
}
