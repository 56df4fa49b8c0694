//! Every listed case has a test, and every test of a case a listed one; the matrix holds all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use migraine_tests::cases;

/// Where tests of cases may stand, below the folder of this crate.
const FOLDERS: [&str; 3] = ["sandbox", "e2e", "crash"];

/// Cases of script plugins. Their tests stand for themselves: the sandbox around an interpreter is the one that the matrix
/// takes apart, and what they attack beyond it has no layers.
const SCRIPTS: [u16; 12] = [173, 174, 176, 177, 179, 180, 182, 183, 184, 185, 188, 189];

/// Cases of what is shown and asked. Their tests set tools against the product that print what they are given.
const DISPLAY: [u16; 5] = [194, 195, 196, 197, 198];

/// Cases of what stops a change half-way. No layer has a part in them: what shows that their tests can fail is the oracle's own
/// test beside them.
const CRASHES: [u16; 6] = [144, 145, 146, 147, 148, 156];

/// Cases of downloads and names: before anything was installed there is nothing that a layer could stop.
const DOWNLOADS: [u16; 6] = [162, 163, 165, 168, 169, 172];

/// Cases of packages: what stops them is the one form that a package has, of which nothing can be left out.
const PACKAGES: [u16; 15] = [125, 126, 127, 128, 129, 130, 132, 133, 134, 135, 136, 138, 139, 140, 141];

/// Cases of the store, of versions, of what plugins need and of consent, which have no layers either.
const STORE: [u16; 10] = [149, 153, 154, 155, 157, 158, 170, 171, 199, 200];

/// All cases that are not in the matrix.
const WITHOUT_LAYERS: [&[u16]; 6] = [&SCRIPTS, &DISPLAY, &CRASHES, &DOWNLOADS, &PACKAGES, &STORE];

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The cases that tests are named after.
fn tested() -> BTreeSet<u16> {
    let files = FOLDERS.iter().flat_map(|name| fs::read_dir(folder(name)).expect("list a folder of tests"));
    let sources: Vec<String> = files
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).expect("read a test"))
        .collect();
    let lines = sources.iter().flat_map(|source| source.lines());
    lines.filter_map(|line| cases::of_test(line.trim_start().strip_prefix("fn ")?.split('(').next()?)).collect()
}

#[test]
fn every_listed_case_has_a_test() {
    let (listed, tested): (BTreeSet<u16>, _) = (cases::all().into_keys().collect(), tested());
    assert_eq!(listed.len(), 91 + 18 + WITHOUT_LAYERS.concat().len());
    let unknown: Vec<_> = tested.difference(&listed).collect();
    assert!(unknown.is_empty(), "tests of cases that are not listed: {unknown:?}");
    let missing: Vec<_> = listed.difference(&tested).collect();
    assert!(missing.is_empty(), "no test is named after {missing:?}");
}

#[test]
fn every_case_with_a_test_is_in_the_matrix() {
    let matrix = fs::read_to_string(folder("sandbox/matrix.txt")).unwrap();
    let number = |line: &str| cases::of_test(&line.split(' ').next()?.to_lowercase());
    let shown: BTreeSet<u16> = matrix.lines().filter_map(number).collect();
    let has_no_layers = |case: &u16| WITHOUT_LAYERS.concat().contains(case);
    let tested: BTreeSet<u16> = tested().into_iter().filter(|case| !has_no_layers(case)).collect();
    assert_eq!(shown, tested);
}

#[test]
fn exceptions_are_few_and_listed() {
    let (listed, exceptions) = (cases::all(), cases::exceptions());
    assert!(exceptions.iter().all(|(case, _)| listed.contains_key(case)), "{exceptions:?}");
}
