//! The path grammar.

use super::*;

// A125, A134: nothing that leaves the tree, nothing that is too long or too deep.
#[test]
fn paths_follow_the_grammar() {
    let one = |path: &str, good: bool| assert_eq!(check(path).is_ok(), good, "{path:?}");
    for good in ["a", "libx.so", "lib/x/__init__.py", "1/2/3/4/5/6/7/8", "index/a", "a.b-c_d"] {
        one(good, true);
    }
    one(&format!("{}/{}", "a".repeat(99), "b".repeat(100)), true);
    for bad in [
        "../x",
        "a/../../x",
        "/abs",
        "C:\\x",
        "a\\..\\b",
        "",
        ".",
        "..",
        "a/",
        "a//b",
        "./a",
        "a/./b",
        "-rf",
        "a/-rf",
        ".hidden",
        "a b",
        "a\nb",
        "a\0b",
        "é",
        "index",
        "Index.SIG",
        "1/2/3/4/5/6/7/8/9",
        "~",
        "a/~/b",
        "a%2fb",
    ] {
        one(bad, false);
    }
    for bad in
        ["a".repeat(101), format!("{}/{}", "a".repeat(156), "b".repeat(43)), "a/".repeat(2048), "a/".repeat(1000)]
    {
        one(&bad, false);
    }
}

// A126, A130: one name, one file.
#[test]
fn paths_do_not_conflict() {
    let set = |paths: &[&str], good: bool| assert_eq!(check_set(paths.iter().copied()).is_ok(), good, "{paths:?}");
    set(&["a/b", "a/c", "b"], true);
    set(&["M.json", "m.json"], false);
    set(&["a", "a"], false);
    set(&["a", "a/b"], false);
    set(&["A", "a/b"], false);
    set(&["A/b", "a/c"], false);
    set(&["x/A/b", "x/a/c"], false);
}
