//! The top of the command line.

use clap::{CommandFactory as _, Parser as _};

use super::*;
use crate::code::Code;

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
    plugin::command("extension").debug_assert();
}

#[test]
fn the_format_of_argument_errors_is_found_before_they_are_parsed() {
    let check = |line: &str, expected: bool| {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        assert_eq!(wants_json(&words), expected, "{line}");
    };
    check("migraine --format json plugin", true);
    check("migraine plugin list --format=json --status bad", true);
    check("migraine plugin list --format text", false);
    check("migraine plugin run a b -- --format json", false);
    check("migraine --format", false);
}

#[test]
fn options_of_all_verbs_stand_anywhere_before_the_plugin() {
    let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.global);
    assert_eq!(parse("migraine plugin list --format json").unwrap().format, Format::Json);
    assert!(parse("migraine plugin --verbose list").unwrap().verbose);
    // From the plugin's name on, every word belongs to the plugin.
    let global = parse("migraine plugin run hello greet --format json --verbose").unwrap();
    assert!(global.format == Format::Text && !global.verbose);
}

#[test]
fn endings_have_their_exit_codes() {
    for (failure, number) in [
        (Failure::usage("x"), 1),
        (Failure::BrokenPipe, 0),
        (Failure::Said(Exit::PreCheck), 4),
        (Failure::new(Code::PluginNotFound, "x", None), 2),
        (Failure::new(Code::ConsentRequired, "x", None), 6),
        (Failure::new(Code::LimitTime, "x", None), 124),
    ] {
        assert_eq!(failure.exit().number(), number, "{failure:?}");
    }
}
