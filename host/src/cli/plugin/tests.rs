//! What is typed after `migraine plugin`, and how plugins are shown.

use clap::FromArgMatches as _;

use super::*;
use crate::cli::Out;
use crate::manage::{Allowed, Directories, Expected, InstallRequest, ListRequest, NoPrompt, install};
use crate::package::fixture::{CREATED, library};
use crate::store::Home;

fn parse(line: &[&str]) -> Result<PluginVerb, clap::Error> {
    let words = std::iter::once("plugin").chain(line.iter().copied());
    let matches = command("plugin").try_get_matches_from(words)?;
    PluginArgs::from_arg_matches(&matches).map(|args| args.verb)
}

fn called(line: &[&str]) -> (Vec<OsString>, Option<Timeout>) {
    match parse(line).unwrap() {
        PluginVerb::Run(CallArgs { timeout, words: CallWords::Words(words), learn: false }) => (words, timeout),
        PluginVerb::Call(words) => (words, None),
        other => panic!("{other:?}"),
    }
}

// covers: S94, S95, S96, S232, C4
#[test]
fn everything_after_the_command_is_left_alone() {
    let rest = ["hello", "greet", "--help", "-h", "--", "--timeout", "5", "--format=json", "", "-", "--yes", "-V"];
    for verb in [&["run"][..], &["execute"], &[]] {
        let line = [verb, &rest].concat();
        assert_eq!(called(&line), (rest.iter().map(OsString::from).collect(), None), "{verb:?}");
    }
    let (words, timeout) = called(&["run", "--timeout", "5", "hello", "greet", "--timeout", "7"]);
    assert_eq!((words.len(), timeout), (4, Some(Timeout::Seconds(5))));
    assert_eq!(called(&["run", "--timeout", "none", "hello", "greet"]).1, Some(Timeout::None));
    assert_eq!(called(&["run", "hello", "--", "x"]).0, ["hello", "--", "x"]);
    assert_eq!(called(&["run", "hello", "help"]).0, ["hello", "help"]);
    // Management verbs win.
    assert!(matches!(parse(&["list"]).unwrap(), PluginVerb::List(_)));
    for bad in [&["run"][..], &["run", "--timeout", "0", "a", "b"], &["run", "--timeout", "x", "a"], &[]] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn consent_is_typed() {
    let line = ["enable", "demo", "--yes", "--grant", "network=a:1", "--grant", "env_vars+network", "--grant", "hook"];
    let PluginVerb::Enable { consent, .. } = parse(&line).unwrap() else { panic!() };
    assert!(consent.yes);
    let grants: Vec<String> = consent.grant.iter().map(ToString::to_string).collect();
    assert_eq!(grants, ["network=a:1", "env_vars+network", "hook"]);
    assert!(parse(&["enable", "demo", "--grant", "everything"]).is_err());
    let PluginVerb::Config(args) = parse(&["config", "demo", "set", "offset", "-5", "--yes"]).unwrap() else {
        panic!()
    };
    let Some(ConfigAction::Set { value, consent, .. }) = args.action else { panic!() };
    assert!(value == "-5" && consent.yes);
}

// covers: S234, S235, S99, S100
#[test]
fn the_list_is_a_table_for_people_and_objects_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("home")).unwrap();
    let manifest = r#"{"name":"demo","version":"1.0.0","description":"Says \u001b[2J things","api_version":"1.0",
        "commands":["go"],"dependencies":["git"],"config":{"a":"b"}}"#;
    let path = folder.path().join("libdemo.so");
    std::fs::write(&path, library(manifest, &["-shared", "-fPIC"], "")).unwrap();
    let request = InstallRequest {
        source: path.into(),
        expected: Expected::default(),
        is_dry_run: false,
        allow_unsigned: true,
        trust_key: None,
        allowed: Allowed::default(),
        project: None,
        now: CREATED.to_owned(),
    };
    let directories = &Directories::new(&home, &[], folder.path());
    let mut consenting = Consenting { yes: false, grants: &[], directories, prompt: &mut NoPrompt };
    install(&home, &request, &mut consenting).unwrap();
    let report = crate::manage::list(&home, &ListRequest::default()).unwrap();
    let text = list::table(&crate::manage::list_table(&home, &ListRequest::default()).unwrap(), &Out::plain());
    let expected = "\
Plugins:
=========
Name                 Version    Status       Description
----                 -------    ------       -----------
demo                 1.0.0      enabled      (unsigned) Says \\u{1b}[2J things

Summary: 1 total, 1 enabled, 0 disabled, 0 errors
";
    assert_eq!(text, expected);
    let json = serde_json::to_value(&report.plugins[0]).unwrap();
    let fields = ["name", "version", "description", "commands", "dependencies", "config"];
    assert!(fields.iter().all(|field| json.get(field).is_some()), "{json}");
    let fields = ["name", "description", "usage"];
    assert!(fields.iter().all(|field| json["commands"][0].get(field).is_some()), "{json}");
    assert_eq!(json["status"], "enabled");
}
