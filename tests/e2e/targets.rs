//! One package for several machines, and whether a package is what its source makes.

use std::fs;
use std::path::{Path, PathBuf};

use migraine_host::manage::{Crate, texts};
use migraine_host::package::build::{Assembled, add_target, assemble_with};
use migraine_host::package::target::{OWN, Target, known};
use migraine_host::package::{Files, Index, Opened, archive, bundle, open};
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::package::{Parcel, key, plugin, typed};
use serde_json::{Value, json};

const CREATED: &str = "2026-01-02T03:04:05Z";

/// Another machine than this one, and the number that its libraries have (elf.h).
fn other() -> (&'static Target, u8) {
    let (triple, number) = match OWN.triple {
        "x86_64-unknown-linux-gnu" => ("aarch64-unknown-linux-gnu", 183),
        _ => ("x86_64-unknown-linux-gnu", 62),
    };
    (known(triple).unwrap(), number)
}

/// The library, as its header says for the other machine.
fn foreign(parcel: &Parcel) -> Vec<u8> {
    let mut bytes = fs::read(&parcel.library).unwrap();
    bytes[18] = other().1;
    // The dynamic loader has another name there, and no plugin needs to name it.
    let loader = OWN.loader.as_bytes();
    let mut other_name = b"librt.so.1".to_vec();
    other_name.resize(loader.len(), 0);
    let places: Vec<usize> =
        bytes.windows(loader.len()).enumerate().filter(|(_, w)| *w == loader).map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| bytes[at..at + loader.len()].copy_from_slice(&other_name));
    bytes
}

fn file_name(parcel: &Parcel) -> &str {
    parcel.library.file_name().unwrap().to_str().unwrap()
}

/// A package for both machines.
fn for_both(parcel: &Parcel) -> Vec<u8> {
    let texts = vec![("README.md".to_owned(), b"# Hello".to_vec())];
    let library = fs::read(&parcel.library).unwrap();
    let one = assemble_with(library, file_name(parcel), CREATED, texts, OWN).unwrap();
    let Files { index, files, .. } = open(signed(&one)).and_then(Opened::into_files).unwrap();
    let joined = add_target(&index, &files, &foreign(parcel), other().0).unwrap();
    joined.package(&key().sign(joined.index.render().as_bytes())).unwrap()
}

fn signed(assembled: &Assembled) -> Vec<u8> {
    assembled.package(&key().sign(assembled.package_index.render().as_bytes())).unwrap()
}

#[test]
fn one_package_serves_several_machines() {
    let parcel = plugin("hello-world");
    let mut triples = [OWN.triple, other().0.triple];
    triples.sort_unstable();
    for &user in kernel::users() {
        let home = Home::of(user);
        let file = home.write_bytes("hello.mgp", &for_both(&parcel));
        for verb in ["verify", "info"] {
            assert_eq!(home.json(&["plugin", verb, typed(&file)])["targets"], json!(triples), "{verb}");
        }
        home.ok(&["plugin", "install", typed(&file), "--yes"]);
        assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
        // What is for other machines is compared and stays behind.
        let kept: Vec<PathBuf> =
            home.snapshot().into_keys().filter(|path| path.ends_with(file_name(&parcel))).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(kept[0].parent().unwrap().ends_with(OWN.triple), "{kept:?}");
        home.ok(&["plugin", "info", "hello-world"]).says(&[&format!("targets      {}", triples.join(", "))]);
        home.ok(&["plugin", "verify", "hello-world"]).says(&["targets    ", "compared   3 files"]);
        home.ok(&["plugin", "uninstall", "hello-world"]);
    }
}

/// A bundle holds all of a package while what it was installed from is there, and then what this machine has of it.
#[test]
fn a_bundle_says_for_which_machines_it_is() {
    let parcel = plugin("hello-world");
    let package = for_both(&parcel);
    let mut triples = [OWN.triple, other().0.triple];
    triples.sort_unstable();
    for &user in kernel::users() {
        let author = Home::of(user);
        let file = author.write_bytes("hello.mgp", &package);
        author.ok(&["plugin", "install", typed(&file), "--yes"]);
        let whole = author.json(&["plugin", "bundle", "whole.bundle"]);
        assert_eq!(whole["plugins"][0]["targets"], json!(triples), "{whole}");
        fs::remove_file(&file).unwrap();
        let left_out = format!("for {} alone: the libraries for {}", OWN.triple, other().0.triple);
        author.ok(&["plugin", "bundle", "part.bundle"]).says(&[&left_out, &format!("for {}\n", OWN.triple)]);
        let part = author.json(&["plugin", "bundle", "again.bundle"]);
        assert_eq!(part["plugins"][0]["targets"], json!([OWN.triple]), "{part}");
        assert_eq!(part["plugins"][0]["left_out"], json!([other().0.triple]), "{part}");
        assert_eq!(part["plugins"][0]["digest"], whole["plugins"][0]["digest"]);

        // The index is the same, and so are its digest and its signature.
        for name in ["whole.bundle", "part.bundle"] {
            let home = Home::of(user);
            home.write_bytes(name, &fs::read(author.work().join(name)).unwrap());
            home.ok(&["plugin", "install", "--bundle", name, "--yes"]);
            assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
            home.ok(&["plugin", "verify", "hello-world"]).says(&[&triples.join(", ")]);
            home.ok(&["plugin", "bundle", "third.bundle"]).says(&[&left_out]);
        }
        // On the other machine: what is for that alone is refused here as this one's is there.
        let home = Home::of(user);
        let before = home.snapshot();
        home.write_bytes("other.bundle", &part_of(&package, other().0.triple));
        let error = home.refused(&["plugin", "install", "--bundle", "other.bundle", "--yes"], "target_missing");
        let said = format!("bundled for {} alone, and this machine is {}", other().0.triple, OWN.triple);
        assert!(error["message"].as_str().unwrap().contains(&said), "{error}");
        // Nothing else is taken for a part.
        for (name, bytes) in
            [("none", part_of(&package, "riscv64gc-unknown-linux-gnu")), ("whole", whole_as_part(&package))]
        {
            home.write_bytes(name, &bytes);
            let done = home.run(["plugin", "install", "--bundle", name, "--yes"]);
            assert!([3, 6].contains(&done.code), "{name}: {done:?}");
        }
        assert_eq!(home.snapshot(), before);
    }
}

/// A bundle of one package, with the files of it that a kind of machine takes.
fn part_of(package: &[u8], target: &str) -> Vec<u8> {
    let Files { index_text, index, signature, files } = open(package.to_vec()).and_then(Opened::into_files).unwrap();
    let taken: Vec<&str> = index.files_for(target).map(|file| file.path.as_str()).collect();
    let files = files.into_iter().filter(|(file, _)| taken.contains(&file.path.as_str()));
    let files: Vec<_> = files.map(|(file, content)| (file.path, content)).collect();
    let text = String::from_utf8(index_text).unwrap();
    let part = archive::pack_for(target, &text, signature.as_ref().unwrap(), &files).unwrap();
    bundled(&index, target, part)
}

/// A bundle with a whole package where a part would be.
fn whole_as_part(package: &[u8]) -> Vec<u8> {
    let Files { index, .. } = open(package.to_vec()).and_then(Opened::into_files).unwrap();
    bundled(&index, OWN.triple, package.to_vec())
}

fn bundled(index: &Index, target: &str, package: Vec<u8>) -> Vec<u8> {
    let (name, version, digest) = (&index.name, &index.version, index.digest());
    let lock = json!({"format": 1, "plugins": [{"name": name, "version": version,
        "digest": format!("sha256:{digest}"), "key": key().public().fingerprint()}]});
    let files = vec![
        ("migraine.lock".to_owned(), lock.to_string().into_bytes()),
        (format!("packages/{target}/{digest}.mgp"), package),
    ];
    bundle::pack(files).unwrap()
}

#[test]
fn a_package_for_other_machines_is_refused_in_one_line() {
    let parcel = plugin("hello-world");
    let assembled = assemble_with(foreign(&parcel), file_name(&parcel), CREATED, Vec::new(), other().0).unwrap();
    let home = Home::new();
    let file = home.write_bytes("hello.mgp", &signed(&assembled));
    let before = home.snapshot();
    let error = home.refused(&["plugin", "install", typed(&file), "--yes"], "target_missing");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(OWN.triple) && message.contains(other().0.triple), "{message}");
    assert!(!message.contains('\n') && error["help"].as_str().unwrap().contains("--add-to"), "{error}");
    assert_eq!(home.snapshot(), before);
    // What it is for can be seen all the same.
    let info = home.json(&["plugin", "info", typed(&file)]);
    assert_eq!(info["targets"], json!([other().0.triple]));
}

const MANIFEST: &str = "name: p\nversion: 1.0.0\ncommands: [{name: go, handler: {type: bash, script: 'echo gone'}}]\n";

fn outcomes(report: &Value) -> Vec<(String, String)> {
    let files = report["rebuilt"]["files"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    files.map(|file| (text(&file["path"]), text(&file["outcome"]))).collect()
}

#[test]
fn scripts_are_packed_again_and_compared() {
    let home = Home::new();
    home.write("p/plugin.yaml", MANIFEST);
    home.write("p/README.md", "# P\n");
    let secret = home.write("author.key", &key().render_plain().unwrap());
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home.ok(&["plugin", "package", "p", "--key", "author.key"]);
    let line = ["plugin", "verify", "./p-1.0.0.mgp", "--rebuild", "p"];
    home.ok(&line).says(&["verified successfully", "plugin.yaml: same", "The source makes this package"]);
    let report = home.json(&line);
    assert_eq!(report["rebuilt"]["same"], true);
    assert_eq!(report["targets"], json!(["any"]));
    home.ok(&["plugin", "install", "./p-1.0.0.mgp", "--yes"]);
    home.ok(&["plugin", "verify", "p", "--rebuild", "./p"]).says(&["The source makes this package"]);

    home.write("p/README.md", "# P, changed\n");
    home.write("p/more.txt", "more");
    let done = home.run([&["--format", "json"][..], &line].concat());
    done.ends(6);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    let expected = [("README.md", "differs"), ("more.txt", "only_in_source"), ("plugin.yaml", "same")];
    assert_eq!(outcomes(&report), expected.map(|(path, outcome)| (path.to_owned(), outcome.to_owned())));
    assert!(done.err.contains("content_mismatch"), "{done:?}");
    fs::remove_file(home.work().join("p/more.txt")).unwrap();
    fs::remove_file(home.work().join("p/README.md")).unwrap();
    home.run(line).ends(6).says(&["README.md: only in the package"]);
    // Whoever does not trust the key yet may look first, and is told; what was changed is refused before anything else.
    home.write("p/README.md", "# P\n");
    let (stranger, package) = (Home::bare(), home.work().join("p-1.0.0.mgp"));
    let source = home.work().join("p");
    let line = ["plugin", "verify", typed(&package), "--rebuild", typed(&source)];
    stranger.ok(&line).says(&[
        "is whole, and NOT TRUSTED",
        "which is not trusted here",
        "The source makes this package",
    ]);
    let report = stranger.json(&line);
    assert_eq!((&report["trust"], &report["rebuilt"]["same"]), (&Value::Null, &json!(true)));
    assert_eq!(report["untrusted_key"], key().public().fingerprint().to_string());
    stranger.refused(&line[..3], "untrusted_key");
    home.write("p/README.md", "# Q\n");
    stranger.refused(&line, "content_mismatch");
    let mut bytes = fs::read(&package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&package, bytes).unwrap();
    assert_ne!(stranger.word(line), "content_mismatch");
}

/// A plugin without dependencies, which is built in a moment.
fn crate_at(home: &Home) -> PathBuf {
    let manifest = r#"{"name":"small","version":"1.0.0","api_version":"1.0","commands":["go"]}"#;
    let source = format!(
        "#[used]\n#[unsafe(link_section = \".migraine.manifest\")]\nstatic MANIFEST: [u8; {}] = *br#\"{manifest}\"#;\n\
         #[unsafe(no_mangle)]\npub extern \"C\" fn answer() -> u32 {{\n    42\n}}\n",
        manifest.len()
    );
    home.write(
        "small/Cargo.toml",
        "[package]\nname = \"small\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n",
    );
    home.write("small/README.md", "# Small\n");
    home.write("small/tests/one.rs", "#[test]\nfn one() {}\n");
    home.write("small/src/lib.rs", &source).parent().and_then(Path::parent).unwrap().to_owned()
}

/// A run that may use this machine's toolchain.
fn with_toolchain(home: &Home, args: &[&str]) -> Done {
    let mut command = home.command([&["--format", "json"], args].concat());
    for name in ["PATH", "HOME", "CARGO", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        std::env::var_os(name).map(|value| command.env(name, value));
    }
    Done::of(&mut command)
}

#[test]
fn a_library_is_built_again_and_compared() {
    let home = Home::new();
    let folder = crate_at(&home);
    let mut found = Crate::find(&folder).unwrap();
    found.target = home.work().join("author");
    let built = found.build(None).unwrap();
    let made = assemble_with(built.bytes.clone(), &built.file_name, CREATED, texts(&folder).unwrap(), OWN).unwrap();
    let file = home.write_bytes("small-1.0.0.mgp", &signed(&made));
    // Elsewhere, by the product: another folder, the same bytes.
    fs::rename(&folder, home.work().join("moved")).unwrap();
    let line = ["plugin", "verify", typed(&file), "--rebuild", "moved"];
    let done = with_toolchain(&home, &line);
    done.ends(0);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(report["rebuilt"]["same"], true, "{report}");
    let paths: Vec<String> = outcomes(&report).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["README.md", "libsmall.so", "plugin.json", "tests/one.rs"]);
    let compilers = report["rebuilt"]["compilers"].to_string();
    let here = report["rebuilt"]["compiler"].as_str().unwrap();
    assert!(compilers.contains("rustc") && here.starts_with("rustc "), "{report}");

    let source = fs::read_to_string(home.work().join("moved/src/lib.rs")).unwrap();
    home.write("moved/src/lib.rs", &source.replace("42", "43"));
    let done = with_toolchain(&home, &line);
    done.ends(6);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert!(outcomes(&report).contains(&("libsmall.so".to_owned(), "differs".to_owned())), "{report}");
    home.write("moved/src/lib.rs", "no rust");
    let done = with_toolchain(&home, &line);
    done.ends(1);
    assert!(done.err.contains("build_failed"), "{done:?}");
}
