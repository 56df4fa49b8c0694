//! What a product cannot do: leave a layer or a check out.

use std::fs;
use std::path::Path;
use std::process::Command;

use migraine_tests::arena::CONTROLS;
use migraine_tests::artifacts;

/// The variable, and the name that layers have in what a launcher is told.
const MARKS: [&str; 2] = [CONTROLS, "attack_controls_layers"];

fn holds(program: &Path, mark: &str) -> bool {
    let bytes = fs::read(program).expect("read a program");
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}

#[test]
fn no_product_can_leave_anything_out() {
    for mark in MARKS {
        assert!(!holds(artifacts::migraine(), mark), "the product knows `{mark}`");
        assert!(holds(artifacts::controlled_migraine(), mark), "`{mark}` proves nothing");
        assert!(holds(artifacts::arena(), mark), "`{mark}` proves nothing");
    }
}

/// The feature is off by default, and no dependency of any package asks for it.
#[test]
fn no_dependency_enables_the_controls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names = |value: &serde_json::Value| value.to_string().contains("attack-controls");
    let forwards = packages.iter().filter(|package| names(&package["features"])).count();
    assert!(forwards >= 2, "the host has the feature, and the tests ask for it by their own");
    for package in packages {
        let name = &package["name"];
        assert!(!names(&package["features"]["default"]), "{name} enables it by default");
        for dependency in package["dependencies"].as_array().unwrap() {
            assert!(!names(&dependency["features"]), "{name} enables it through {}", dependency["name"]);
        }
    }
}
