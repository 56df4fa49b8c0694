//! Plugins are found in three folders, a project's only while it is what its user trusted, and none of them runs from there.

use std::fs;
use std::path::Path;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, manifest, tiny};
use serde_json::{Value, json};

fn version(version: &str) -> Parcel {
    tiny(&manifest("demo", &json!({"version": version, "commands": ["go"]})))
}

fn put(parcel: &Parcel, folder: &Path, name: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::copy(parcel.package(), folder.join(name)).unwrap();
}

fn listed(home: &Home) -> Vec<String> {
    let list = home.json(&["plugin", "list"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let plugins = list["plugins"].as_array().unwrap().iter();
    plugins
        .map(|plugin| format!("{} {} {}", text(&plugin["name"]), text(&plugin["version"]), text(&plugin["status"])))
        .collect()
}

// covers: S98, S136, S151, S154, C19
#[test]
fn a_project_is_looked_into_while_it_is_what_was_trusted() {
    for &user in users() {
        let home = Home::of(user);
        let folder = home.work().join("plugins");
        put(&version("1.0.0"), &folder, "demo.mgp");
        assert_eq!(listed(&home), [""; 0]);
        home.refused(&["plugin", "install", "demo"], "file_not_found");
        home.ok(&["plugin", "trust-project"]).says(&["plugin   demo", "None of them runs"]);
        assert_eq!(home.json(&["plugin", "trust-project", "."])["known"], true);
        assert_eq!(listed(&home), ["demo 1.0.0 discovered"]);
        home.refused(&["plugin", "run", "demo", "go"], "plugin_not_found");
        // Whatever changes in it, even a name or a mode, has to be looked at again.
        for change in [
            &(|| fs::write(folder.join("more.txt"), "x").unwrap()) as &dyn Fn(),
            &|| fs::rename(folder.join("more.txt"), folder.join("less.txt")).unwrap(),
            &|| put(&version("2.0.0"), &folder, "demo.mgp"),
            &|| fs::remove_file(folder.join("less.txt")).unwrap(),
        ] {
            change();
            assert_eq!(listed(&home), [""; 0]);
            home.ok(&["plugin", "list"]).says(&["has changed since it was trusted"]);
            home.refused(&["plugin", "install", "demo"], "file_not_found");
            home.ok(&["plugin", "trust-project"]);
        }
        home.ok(&["plugin", "install", "demo"]);
        assert_eq!(listed(&home), ["demo 2.0.0 enabled"]);
        home.ok(&["plugin", "untrust-project"]);
        home.refused(&["plugin", "untrust-project"], "file_not_found");
        // A link leads elsewhere tomorrow.
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
        home.run(["plugin", "trust-project"]).ends(1).says(&["no regular file"]);
    }
}

// covers: S97, S98, S136
#[test]
fn the_users_own_folder_comes_before_a_projects() {
    let home = Home::new();
    put(&version("2.0.0"), &home.work().join("plugins"), "demo.mgp");
    home.ok(&["plugin", "trust-project"]);
    put(&version("1.0.0"), &home.path().join("plugins"), "demo.mgp");
    put(&version("1.1.0"), &home.path().join("plugins"), "newer.mgp");
    put(&version("1.5.0"), &home.path().join("plugins"), "x.mgp");
    // The newest in the first folder that has it, and no other.
    fs::write(home.path().join("plugins/x.mgp"), "damaged").unwrap();
    home.ok(&["plugin", "install", "demo"]).says(&["version    1.1.0"]);
    // One bad file is a warning with its name; the rest is listed.
    home.ok(&["plugin", "list"]).says(&["plugin x.mgp cannot be loaded", "demo"]);
    home.ok(&["plugin", "refresh"]).says(&["x.mgp"]);
}
