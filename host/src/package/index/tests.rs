//! One index, one text.

use super::*;
use crate::code::{Code, Coded as _};

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn good() -> String {
    format!(
        "migraine-index 1\nname hello-world\nversion 1.0.0-rc.1+7\napi 1.0\ncreated 2026-01-02T03:04:05Z\n\
         target x86_64-unknown-linux-gnu\nentry libx.so\npermission task_read\n\
         permission filesystem=read:./l%C3%B6g%20s%25\n\
         dependency base >=1.2,<2 key=ed25519:{HASH}\ndependency log-tools *\nfile 0644 0 {HASH} libx.so\nfile 0755 12 {HASH} tool/x\n"
    )
}

#[test]
fn an_index_renders_to_the_text_it_was_read_from() {
    let index = Index::parse(good().as_bytes()).unwrap();
    assert_eq!(index.render(), good());
    assert_eq!(index.digest(), Digest::of(good().as_bytes()));
    assert_eq!(index.permissions[1].scope(), Some("read:./lög s%"));
    assert_eq!((index.dependencies.len(), index.dependencies[1].name.as_str()), (2, "log-tools"));
    assert_eq!(index.files[1].mode, 0o755);
    assert_eq!(index.library().unwrap().path, "libx.so");
}

// A113, A116, A125, A129, A130, A134, A140: every other spelling and value is refused.
#[test]
fn every_other_text_is_refused() {
    let check = |from: &str, to: &str| {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from:?} is not there");
        let error = Index::parse(text.as_bytes()).expect_err(&text);
        assert_eq!(error.code(), Code::PackageInvalid, "{from:?} -> {to:?}: {error}");
    };
    check("migraine-index 1", "migraine-index 2");
    check("migraine-index 1", "{\"name\":1}");
    for name in ["", "..", ".", "a/b", "-rf", "CON", "a_b", "hello-world ", &"a".repeat(300)] {
        check("name hello-world", &format!("name {name}"));
    }
    for version in ["", "1", "1.0", "latest", "1.0.0/../../x", "01.0.0", "1.0.0 ", "v1.0.0"] {
        check("version 1.0.0-rc.1+7", &format!("version {version}"));
    }
    check("version 1.0.0-rc.1+7", &format!("version 1.0.0-{}", "a".repeat(64)));
    check("api 1.0\n", "api 1.0.0\n");
    for time in
        ["2026-01-02T03:04:05+00:00", "2026-01-02t03:04:05z", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "x"]
    {
        check("2026-01-02T03:04:05Z", time);
    }
    check("target x86_64-unknown-linux-gnu", "target ");
    check("target x86_64-unknown-linux-gnu", "target a/b");
    check("entry libx.so", "entry other.so");
    check("entry libx.so", "entry ../libx.so");
    check("permission task_read\n", "permission task_read\npermission task_read\n");
    check("permission task_read\n", "permission unknown\n");
    check("dependency log-tools *\n", "dependency log-tools\n");
    check("dependency log-tools *\n", "dependency log-tools * *\n");
    check("dependency log-tools *\n", "dependency base *\n");
    check("dependency log-tools *\n", "dependency a *\n");
    check("dependency log-tools *\n", "dependency hello-world *\n");
    check(">=1.2,<2", ">=1.2, <2");
    check(">=1.2,<2", "<2 >=1.2");
    check("permission filesystem=read:./l%C3%B6g%20s%25\n", "permission filesystem=read:./l%c3%b6g%20s%25\n");
    check("%20", " ");
    check("%C3%B6", "%C3");
    check("%25", "%");
    check("=read:./l", "=read%3A./l");
    check("permission task_read\n", "permission exec=x\n");
    for mode in ["0777", "4755", "644", "0o644", "00644", "-644", "+644", ""] {
        check("file 0644", &format!("file {mode}"));
    }
    for size in ["00", "-0", "+0", "", "0x0", "18446744073709551616"] {
        check("0644 0 ", &format!("0644 {size} "));
    }
    check(HASH, &HASH.to_uppercase());
    check(HASH, &HASH[1..]);
    // In this order: what would not be sorted any more is refused for that.
    for (path, code) in [
        ("m/../x", Code::EntryPath),
        ("m//b", Code::EntryPath),
        ("tool/x/", Code::EntryPath),
        ("tool\\x", Code::EntryPath),
        ("tool/x y", Code::EntryPath),
        ("libx.so", Code::Duplicate),
        ("libx.so/x", Code::Duplicate),
        ("../x", Code::PackageInvalid),
        ("index", Code::PackageInvalid),
        ("LIBX.so", Code::PackageInvalid),
    ] {
        let text = good().replacen("tool/x", path, 1);
        assert_eq!(Index::parse(text.as_bytes()).unwrap_err().code(), code, "{path}");
    }
    let first = |path: &str| good().replacen("file 0644", &format!("file 0644 0 {HASH} {path}\nfile 0644"), 1);
    for (path, code) in
        [("../x", Code::EntryPath), ("/x", Code::EntryPath), ("index", Code::EntryPath), ("LIBX.so", Code::Duplicate)]
    {
        assert_eq!(Index::parse(first(path).as_bytes()).unwrap_err().code(), code, "{path}");
    }
    check("tool/x\n", "tool/x");
    check("tool/x\n", "tool/x\n\n");
    check("tool/x\n", "tool/x\r\n");
    check("tool/x\n", "tool/x\nmore x\n");
    check("api 1.0\n", "");
    check("api 1.0\n", "api 1.0\napi 1.0\n");
    check("tool", "t\u{f6}\u{f6}l");
    check("tool", "t\u{0}l");
}

// A134: caps are limits, not parse errors.
#[test]
fn caps_hold() {
    let check = |text: &str| assert_eq!(Index::parse(text.as_bytes()).unwrap_err().code(), Code::LimitPackage);
    check(&good().replace(" 12 ", " 67108865 "));
    check(&good().replace(" 12 ", " 18446744073709551615 "));
    let many: String = (0..300).map(|at| format!("file 0644 0 {HASH} z{at:03}\n")).collect();
    check(&(good() + &many));
    check(&(good() + &"x".repeat(INDEX_MAX)));
}

// A108: no bit of the text is free.
#[test]
fn every_flipped_bit_is_refused_or_seen() {
    let text = good().into_bytes();
    let index = Index::parse(&text).unwrap();
    for at in 0..text.len() * 8 {
        let mut flipped = text.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        if let Ok(other) = Index::parse(&flipped) {
            assert_ne!(other, index, "bit {at}");
            assert_eq!(other.render().into_bytes(), flipped, "bit {at}");
        }
    }
}

// One text for several machines: each once, in order, with a library of its own.
#[test]
fn a_package_can_be_for_several_machines() {
    let (arm, gnu) = ("aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu");
    let text = |builds: &[(&str, &str)], files: &[&str]| {
        let builds: String = builds.iter().map(|(target, entry)| format!("target {target}\nentry {entry}\n")).collect();
        let files: String = files.iter().map(|path| format!("file 0644 0 {HASH} {path}\n")).collect();
        let head = "migraine-index 1\nname demo\nversion 1.0.0\napi 1.0\ncreated 2026-01-02T03:04:05Z\n";
        format!("{head}{builds}{files}")
    };
    let files = [&format!("{arm}/libx.so"), "plugin.json", &format!("{gnu}/libx.so")];
    let good = text(&[(arm, files[0]), (gnu, files[2])], &files);
    let index = Index::parse(good.as_bytes()).unwrap();
    assert_eq!(index.render(), good);
    assert_eq!((index.target.as_str(), index.targets()), (TARGET, vec![arm.to_owned(), gnu.to_owned()]));
    let own: Vec<_> = index.own_files().map(|file| file.path.as_str()).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert!(index.is_for_this_machine() && index.entry.starts_with(TARGET) && own.contains(&index.entry.as_str()));
    let foreign = Index::parse(text(&[("riscv64gc-unknown-linux-gnu", "a.so")], &["a.so"]).as_bytes()).unwrap();
    assert!(!foreign.is_for_this_machine());

    let refused = |builds: &[(&str, &str)]| Index::parse(text(builds, &files).as_bytes()).unwrap_err().code();
    assert_eq!(refused(&[(gnu, files[2]), (arm, files[0])]), Code::PackageInvalid, "not sorted");
    assert_eq!(refused(&[(arm, files[0]), (arm, files[2])]), Code::PackageInvalid, "one machine twice");
    assert_eq!(refused(&[(arm, files[0]), (gnu, files[0])]), Code::PackageInvalid, "one library for two");
    assert_eq!(refused(&[(arm, files[0]), ("any", files[2])]), Code::PackageInvalid, "any machine, and one");
    assert_eq!(refused(&[(arm, files[0]), (gnu, "plugin.json")]), Code::PackageInvalid, "a manifest");
    assert_eq!(refused(&[(arm, files[0]), (gnu, "absent.so")]), Code::PackageInvalid, "no file");
    let many: Vec<String> = (0..17).map(|at| format!("a{at:02}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|target| (target.as_str(), "plugin.json")).collect();
    assert_eq!(refused(&many), Code::LimitPackage);
}
