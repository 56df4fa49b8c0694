//! A folder with a home, a working directory and the user's own directory, with the content of a disk that is kept in memory:
//! each point starts from the same one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::tree::Tree;
use crate::artifacts;
use crate::home::Done;
use crate::run::User;

/// What the name of each folder begins with.
pub(super) const PLACE: &str = "migraine-crash-";

/// The folder.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    user: User,
}

impl Place {
    /// An empty one: there is no home yet, but the directory that it will lie in.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new(user: User) -> Self {
        let folder = in_memory();
        user.give(folder.path());
        for name in ["work", "user"] {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("make a directory");
            user.give(&path);
        }
        Self { folder, user }
    }

    /// One with this content.
    pub(super) fn holding(tree: &Tree, user: User) -> Self {
        let folder = in_memory();
        user.give(folder.path());
        for (name, node) in tree.nodes() {
            let path = folder.path().join(name);
            match &node.content {
                Some(content) => fs::write(&path, &content.bytes).expect("write a file"),
                None => fs::create_dir(&path).expect("make a directory"),
            }
            user.give(&path);
        }
        // Last what is in a directory, then the directory.
        for (name, node) in tree.nodes().iter().rev() {
            let mode = fs::Permissions::from_mode(node.mode);
            fs::set_permissions(folder.path().join(name), mode).expect("set a mode");
        }
        Self { folder, user }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `MIGRAINE_HOME`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> User {
        self.user
    }

    /// The product with these arguments, to be traced.
    #[must_use]
    pub fn traced(&self, words: &[String]) -> Command {
        let mut command = self.user.command(artifacts::traced());
        command.arg(artifacts::migraine()).args(words);
        self.settle(&mut command);
        command
    }

    /// The product with these arguments.
    #[must_use]
    pub fn product(&self, words: &[String]) -> Command {
        let mut command = self.user.command(artifacts::migraine());
        command.args(words);
        self.settle(&mut command);
        command
    }

    /// As [`Place::product`], with an option of env(1) that says what becomes of signals. It prints an empty line once that
    /// holds, right before the product takes its place.
    #[must_use]
    pub fn product_with_signals(&self, option: &str, words: &[String]) -> Command {
        let mut command = self.user.command(Path::new("env"));
        command.args([option, "sh", "-c", "echo; exec \"$@\"", "sh"]).arg(artifacts::migraine()).args(words);
        self.settle(&mut command);
        command
    }

    /// Runs the product to its end; nothing that it started may outlive it.
    #[must_use]
    pub fn run(&self, words: &[String]) -> Done {
        let mut command = self.user.command(artifacts::attend());
        command.arg(artifacts::migraine()).args(words);
        self.settle(&mut command);
        Done::of(&mut command)
    }

    /// Runs a line of the shell in the folder.
    #[must_use]
    pub(super) fn shell(&self, line: &str) -> Done {
        let mut command = self.user.command(Path::new("/bin/sh"));
        command.args(["-c", line]).current_dir(self.path());
        Done::of(&mut command)
    }

    fn settle(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C");
        command.env("MIGRAINE_HOME", self.home()).env("HOME", self.path().join("user"));
        // The time in what is packaged.
        command.env("SOURCE_DATE_EPOCH", "1000000000").current_dir(self.path().join("work"));
    }
}

impl Drop for Place {
    /// Installed trees are read-only, for their owner too.
    fn drop(&mut self) {
        open_all(self.path());
    }
}

/// A directory that costs no disk where the machine has such: thousands of fsyncs would take minutes.
pub(super) fn in_memory() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PLACE).permissions(fs::Permissions::from_mode(0o755));
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("make a directory")
}

fn open_all(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_all(&entry.path());
        }
    }
}
