//! The plugin in a home, enabled for the daemon of the tests.

use migraine_tests::docker::Daemon;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::package::{Parcel, plugin};
use migraine_tests::run::User;

/// A home with the plugin: its daemon's socket and its working directory are granted.
pub(crate) struct Manager {
    pub(crate) daemon: &'static Daemon,
    pub(crate) home: Home,
    user: User,
}

/// Runs a test for every user of this machine.
pub(crate) fn each_user(test: impl Fn(&Manager)) {
    let Some(daemon) = Daemon::shared() else { return };
    for &user in kernel::users() {
        test(&Manager::new(daemon, Home::of(user), user));
    }
}

impl Manager {
    pub(crate) fn new(daemon: &'static Daemon, home: Home, user: User) -> Self {
        let manager = Self { daemon, home, user };
        manager.install(&plugin("docker-manager"));
        manager
    }

    /// Installs the plugin, or another one of its name, with all that it asks for.
    fn install(&self, parcel: &Parcel) {
        self.home.run(["plugin", "install", parcel.typed()]).ends(6);
        let socket = self.daemon.socket();
        self.home.ok(&["plugin", "config", "docker-manager", "set", "docker_socket", socket.to_str().unwrap()]);
        let (network, directory) = (self.network(), format!("filesystem=read:{}", self.home.work().display()));
        self.home.ok(&[
            "plugin",
            "enable",
            "docker-manager",
            "--yes",
            "--grant",
            &network,
            "--grant",
            &directory,
            "--grant",
            "filesystem+network",
        ]);
    }

    /// The permission to reach the daemon.
    pub(crate) fn network(&self) -> String {
        format!("network=unix:{}", self.daemon.socket().display())
    }

    /// Runs a command of the plugin.
    pub(crate) fn run(&self, words: &[&str]) -> Done {
        self.home.run([&["plugin", "execute", "docker-manager"], words].concat())
    }

    /// A name that the other user's run of the same test does not use.
    pub(crate) fn name(&self, base: &str) -> String {
        format!("{base}-{:?}", self.user).to_lowercase()
    }

    /// A port that the other user's run of the same test does not use.
    pub(crate) fn port(&self, base: u16) -> String {
        (base + u16::from(self.user == User::Plain)).to_string()
    }
}
