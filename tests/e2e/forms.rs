//! A plugin is installed from each form that it comes in: a file, a directory that holds one, an unpacked package, a name.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, manifest, plugin, tiny, typed};
use serde_json::json;

fn demo(version: &str) -> Parcel {
    tiny(&manifest("demo", &json!({"version": version, "commands": ["go"]})))
}

/// Puts a file into a folder below the working directory, under its own name.
fn put(home: &Home, folder: &str, file: &Path) -> PathBuf {
    let name = file.file_name().unwrap().to_str().unwrap();
    home.write_bytes(&format!("{folder}/{name}"), &fs::read(file).unwrap())
}

/// What `tar` makes of a package.
fn unpack(home: &Home, folder: &str, package: &Path) {
    let archive = zstd::decode_all(fs::File::open(package).unwrap()).unwrap();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        home.write_bytes(&format!("{folder}/{name}"), &content);
    }
}

// covers: S279
#[test]
fn a_directory_stands_for_the_one_plugin_in_it() {
    let parcel = plugin("hello-world");
    let package = parcel.package();
    for &user in users() {
        let home = Home::of(user);
        put(&home, "author", &parcel.library);
        put(&home, "author", &parcel.sidecar());
        for (name, text) in [("README.md", "# Hello"), ("LICENSE", "MIT"), ("config.example.yaml", "greeting: Hi")] {
            home.write(&format!("author/{name}"), text);
        }
        // Its manifest, for people: what counts is the one in the library.
        home.write("author/plugin.json", r#"{"name":"hello-world","version":"1.0.0","api_version":"1.0"}"#);
        put(&home, "downloads", &package);
        let digest = |target: &str| home.json(&["plugin", "info", target])["digest"].clone();
        for (folder, file) in [("author", typed(&parcel.library)), ("downloads", typed(&package))] {
            assert_eq!(digest(folder), digest(file), "{folder}");
            home.ok(&["plugin", "verify", folder]);
            home.ok(&["plugin", "audit", folder]);
            home.ok(&["plugin", "install", folder, "--yes"]);
            assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
            assert_eq!(digest("hello-world"), digest(file), "{folder}");
            home.ok(&["plugin", "uninstall", "hello-world"]);
        }
        home.ok(&["plugin", "link", "author"]);
        home.ok(&["plugin", "unlink", "hello-world"]);
        // Nothing else is taken for its signature, and nothing is installed without one.
        fs::rename(home.work().join("author/libhello_world.so.sig"), home.work().join("author/index.sig")).unwrap();
        home.refused(&["plugin", "install", "author"], "signature_missing");
    }
}

#[test]
fn nobody_guesses_which_of_several_is_meant() {
    for &user in users() {
        let home = Home::of(user);
        let before = home.snapshot();
        let one = demo("1.0.0");
        put(&home, "many", &one.library);
        put(&home, "many", &one.sidecar());
        put(&home, "many", &one.package());
        put(&home, "many", &demo("1.1.0").package());
        for verb in ["install", "verify", "info", "audit"] {
            let error = home.refused(&["plugin", verb, "many"], "value_invalid");
            let message = error["message"].as_str().unwrap();
            for name in ["many/demo-1.0.0.mgp", "many/demo-1.1.0.mgp", "many/libtiny.so"] {
                assert!(message.contains(name), "{verb}: `{name}` is missing: {message}");
            }
            assert!(!message.contains(".sig"), "{message}");
        }
        home.write("none/README.md", "# Nothing");
        let error = home.refused(&["plugin", "install", "none"], "file_not_found");
        assert!(
            error["message"].as_str().unwrap().contains("no plugin.yaml, no plugin.json, no package and no library")
        );
        // A manifest alone holds no code.
        home.write("words/plugin.json", r#"{"name":"words","version":"1.0.0","api_version":"1.0"}"#);
        home.refused(&["plugin", "install", "words"], "not_a_plugin");
        // Packages beside scripts were made of these.
        home.write(
            "scripts/plugin.yaml",
            "name: p\nversion: 1.0.0\ncommands: [{name: go, handler: {type: bash, script: 'echo gone'}}]\n",
        );
        put(&home, "scripts", &one.package());
        home.refused(&["plugin", "install", "scripts"], "signature_missing");
        assert_eq!(home.snapshot(), before);
        assert_eq!(home.json(&["plugin", "info", "scripts"])["name"], "p");
    }
}

// covers: A115, S279
#[test]
fn an_unpacked_package_is_held_to_its_index() {
    let parcel = plugin("hello-world");
    let package = parcel.package();
    for &user in users() {
        let home = Home::of(user);
        unpack(&home, "good", &package);
        home.ok(&["plugin", "verify", "good"]);
        home.ok(&["plugin", "install", "good", "--yes"]);
        assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
        let digest = home.json(&["plugin", "info", "hello-world"])["digest"].clone();
        assert_eq!(digest, home.json(&["plugin", "info", typed(&package)])["digest"]);
        home.ok(&["plugin", "uninstall", "hello-world"]);
        home.refused(&["plugin", "link", "good"], "format");
        // It is found in a folder of plugins as one, and not as the library in it.
        unpack(&home, "user/hello", &package);
        fs::rename(home.work().join("user"), home.path().join("plugins")).unwrap();
        let list = home.json(&["plugin", "list"]);
        assert_eq!(
            (&list["plugins"][0]["status"], &list["plugins"][1]),
            (&json!("discovered"), &json!(null)),
            "{list}"
        );
        home.ok(&["plugin", "install", "hello-world", "--yes"]);
        home.ok(&["plugin", "uninstall", "hello-world"]);
        let before = home.snapshot();

        type Change = fn(&Path);
        let changes: [(&str, &str, Change); 9] = [
            ("a file more", "content_mismatch", |at| fs::write(at.join("extra.txt"), "x").unwrap()),
            ("a hidden file", "content_mismatch", |at| fs::write(at.join(".extra"), "x").unwrap()),
            ("a file less", "content_mismatch", |at| fs::remove_file(at.join("plugin.json")).unwrap()),
            ("a longer file", "content_mismatch", |at| fs::write(at.join("plugin.json"), vec![b' '; 1 << 20]).unwrap()),
            ("a shorter file", "content_mismatch", |at| fs::write(at.join("plugin.json"), "{}").unwrap()),
            ("another library", "content_mismatch", |at| {
                let mut bytes = fs::read(at.join("libhello_world.so")).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(at.join("libhello_world.so"), bytes).unwrap();
            }),
            ("a link", "content_mismatch", |at| {
                fs::rename(at.join("plugin.json"), at.with_extension("away")).unwrap();
                symlink(at.with_extension("away"), at.join("plugin.json")).unwrap();
            }),
            ("no signature", "signature_missing", |at| fs::remove_file(at.join("index.sig")).unwrap()),
            ("another index", "package_invalid", |at| {
                let mut text = fs::read(at.join("index")).unwrap();
                text.extend_from_slice(b"more\n");
                fs::write(at.join("index"), text).unwrap();
            }),
        ];
        for (at, (what, code, change)) in changes.into_iter().enumerate() {
            let folder = format!("bad-{at}");
            unpack(&home, &folder, &package);
            change(&home.work().join(&folder));
            let word = home.word(["plugin", "install", &folder, "--yes"]);
            assert_eq!(word, code, "{what}");
        }
        assert_eq!(home.snapshot(), before);
    }
}

// covers: S98, S136
#[test]
fn a_name_is_looked_up_here_and_the_places_are_named() {
    for &user in users() {
        let home = Home::of(user);
        put(&home, "plugins/demo-tools", &tiny(&manifest("demo-tools", &json!({"commands": ["go"]}))).package());
        let message = |error: &serde_json::Value| {
            format!("{} {}", error["message"].as_str().unwrap(), error["help"].as_str().unwrap())
        };
        let error = message(&home.refused(&["plugin", "install", "demo"], "file_not_found"));
        let own = home.path().join("plugins");
        for part in [
            typed(&own),
            "there is no such folder",
            "is not trusted",
            "trust-project",
            "never looked up on the network",
        ] {
            assert!(error.contains(part), "`{part}` is missing: {error}");
        }
        assert!(!error.contains("there is demo-tools"), "{error}");
        home.ok(&["plugin", "trust-project"]);
        let error = message(&home.refused(&["plugin", "install", "demo"], "file_not_found"));
        let project = home.work().canonicalize().unwrap().join("plugins");
        assert!(error.contains(typed(&project)) && error.contains("there is demo-tools; "), "{error}");
        home.ok(&["plugin", "install", "demo-tools"]);
        home.ok(&["plugin", "untrust-project"]);
        let error = message(&home.refused(&["plugin", "install", "demo-tools"], "file_not_found"));
        assert!(
            error.contains("demo-tools 1.0.0 is installed") && error.contains("plugin upgrade demo-tools"),
            "{error}"
        );
        // What is linked is there already, and the way from the link is named.
        let library = put(&home, "dev", &demo("1.0.0").library);
        home.own(&library);
        home.ok(&["plugin", "link", "dev"]);
        let error = message(&home.refused(&["plugin", "install", "demo"], "link_taken"));
        assert!(error.contains("is linked to") && error.contains("migraine plugin unlink demo"), "{error}");
        assert!(error.contains(typed(&library.canonicalize().unwrap())), "{error}");
    }
}
