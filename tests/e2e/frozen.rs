//! Plugins that were built when an API version was frozen load and run on this host. Their bytes are pinned: a rebuilt
//! one would only prove that today's plugins run.

use std::path::{Path, PathBuf};

use migraine_host::ids::Digest;
use migraine_tests::home::Home;

/// Version, library, digest. A line is added for each released API version and never changed.
const FROZEN: [(&str, &str, &str); 2] = [
    ("1.0", "libhello_world.so", "c889f59aa867f508e90ebafd26fc7d8362ed3b93e59948054304fa1d7166e65d"),
    ("1.0", "libstep_timer.so", "9c093a05624c73aa9e2f19d8113a80bbca62e250360bfc528cb863219bb1316c"),
];

fn frozen(version: &str, library: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/frozen").join(version).join(library)
}

fn install(home: &Home, library: &Path) {
    home.ok(&["plugin", "install", library.to_str().unwrap(), "--allow-unsigned", "--yes"]);
}

#[test]
fn frozen_libraries_are_never_rebuilt() {
    for (version, library, digest) in FROZEN {
        let bytes = std::fs::read(frozen(version, library)).unwrap();
        assert_eq!(Digest::of(&bytes).to_string(), digest, "{version}/{library} is not the one that was frozen");
    }
}

// covers: S237, S295, S296
#[test]
fn commands_of_every_frozen_version_run() {
    for (version, library, _) in FROZEN.iter().filter(|(_, library, _)| library.contains("hello")) {
        let home = Home::new();
        install(&home, &frozen(version, library));
        assert_eq!(home.ok(&["plugin", "run", "hello-world", "hello"]).out, "Hello, World!\n");
        let greeting = "Hello, Marathon! Greetings from the hello-world plugin.\n";
        assert_eq!(home.ok(&["plugin", "run", "hello-world", "greet", "Marathon"]).out, greeting);
        home.run(["plugin", "run", "hello-world", "greet"]).ends(1).says(&["<NAME>"]);
    }
}

#[test]
fn hooks_and_state_of_every_frozen_version_work() {
    for (version, library, _) in FROZEN.iter().filter(|(_, library, _)| library.contains("timer")) {
        let home = Home::new();
        install(&home, &frozen(version, library));
        home.write("migraine.yaml", "name: frozen\nsteps:\n  - command: echo stepped\n");
        home.ok(&["run"]).says(&["stepped", "[step-timer]", "took"]);
        home.ok(&["plugin", "run", "step-timer", "report"]).says(&["echo stepped"]);
    }
}
