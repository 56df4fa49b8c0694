//! Real crates, built in different places.

use super::*;

const MANIFEST: &str = "[package]\nname = \"sample\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
    [lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n";
/// Cargo names generated code by its full path, so `file!()` in it is a leak unless it is remapped.
const SCRIPT: &str = "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
    std::fs::write(out + \"/made.rs\", \"const FILE: &str = file!();\").unwrap();\n}\n";
const LIBRARY: &str = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\
    #[unsafe(no_mangle)]\npub extern \"C\" fn place(at: usize) -> u8 {\n    FILE.as_bytes()[at]\n}\n";

fn build_in(folder: &Path) -> Vec<u8> {
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), MANIFEST).unwrap();
    fs::write(folder.join("build.rs"), SCRIPT).unwrap();
    fs::write(folder.join("src/lib.rs"), LIBRARY).unwrap();
    let mut command = cargo();
    command.args(["generate-lockfile", "--offline", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    capture(&mut command, folder).unwrap();
    let mut found = Crate::find(folder).unwrap();
    assert_eq!(found.name, "sample");
    // Whatever the caller's environment says about the target folder.
    found.target = folder.join("target");
    found.build(None).unwrap().bytes
}

#[test]
fn the_bytes_do_not_depend_on_the_folder() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deeper = other.path().join("a much/longer folder");
    let built = build_in(one.path());
    assert!(built == build_in(&deeper), "the libraries differ");
    let folders = [one.path(), other.path(), &cargo_home().unwrap()];
    for folder in folders.map(|folder| folder.to_str().unwrap()) {
        let named = built.windows(folder.len()).any(|window| window == folder.as_bytes());
        assert!(!named, "the library names {folder}");
    }
}

#[test]
fn what_cannot_be_built_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Crate::find(&folder.path().join("absent")).is_err());
    assert!(Crate::find(folder.path()).unwrap_err().to_string().contains("cargo"));
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    fs::write(folder.path().join("Cargo.toml"), MANIFEST.replace("cdylib", "rlib")).unwrap();
    assert!(Crate::find(folder.path()).unwrap_err().to_string().contains("cdylib"));
}

#[test]
fn texts_are_what_people_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    let taken = ["LICENSE", "README.md", "config.example", "tests/a.rs", "tests/data/b.json"];
    taken.into_iter().for_each(write);
    for left in ["Cargo.toml", "src/lib.rs", ".env", "tests/.hidden.rs", "tests/run.sh", "tests/target/a.rs", "x.mgp"] {
        write(left);
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("CHANGELOG")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("tests/c.rs")).unwrap();
    let paths: Vec<String> = texts(folder.path()).unwrap().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, taken);
}
