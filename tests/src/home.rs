//! A throw-away home directory and a folder to work in, and the product run in them. Every run is held to what must
//! always be true: it ends in time, and nothing that it started outlives it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use migraine_host::trust::{Keyring, SecretKey, TrustedKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::arena::CONTROLS;
use crate::matrix::WORKS;
use crate::package::{Parcel, key, remade};
use crate::run::User;
use crate::{artifacts, run};

/// The longest that any run may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A home directory.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    /// Whose it is, where that is not the caller.
    user: Option<User>,
    /// Checks that the product leaves out.
    left_out: &'static str,
}

/// How a run ended.
pub struct Done {
    /// The exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Home {
    /// A home that trusts the kit's key for every name.
    #[must_use]
    pub fn new() -> Self {
        let home = Self::bare();
        home.trust(&key(), "*");
        home
    }

    /// A home of this user, who also runs the product in it.
    ///
    /// # Panics
    /// It cannot be given away.
    #[must_use]
    pub fn of(user: User) -> Self {
        let mut home = Self::new();
        home.user = Some(user);
        let mut everything = BTreeMap::new();
        collect(home.folder.path(), &mut everything);
        for path in everything.keys().map(PathBuf::as_path).chain([home.folder.path()]) {
            user.give(path);
        }
        home
    }

    /// A home that trusts nobody.
    ///
    /// # Panics
    /// The directories cannot be made.
    #[must_use]
    pub fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("migraine-home-").tempdir().expect("make a directory");
        let home = Self { folder, user: None, left_out: "" };
        migraine_host::store::Home::open(&home.path()).and_then(|home| home.make()).expect("make a home");
        for folder in ["work", "user"] {
            fs::create_dir(home.folder.path().join(folder)).expect("make a directory");
        }
        home
    }

    /// Trusts a key.
    ///
    /// # Panics
    /// The scope is not one, or the keyring cannot be written.
    pub fn trust(&self, key: &SecretKey, scope: &str) {
        let scope = scope.parse().expect("a scope");
        let trusted = TrustedKey::new(key.public(), "tests", &[scope], "2026-01-02T03:04:05Z").expect("a key");
        Keyring::open(&self.path().join("keys")).and_then(|keyring| keyring.add(&trusted)).expect("trust the key");
    }

    /// `MIGRAINE_HOME`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The working directory of every run.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes the user's policy file.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn policy(&self, text: &str) {
        let path = self.path().join("policy.yaml");
        fs::write(&path, text).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("close the file");
        if let Some(user) = self.user {
            user.give(&path);
        }
    }

    /// Writes a file into the working directory.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("make a directory");
        fs::write(&path, text).expect("write a file");
        if let Some(user) = self.user {
            let made = path.ancestors().take_while(|made| *made != self.work());
            made.for_each(|path| user.give(path));
        }
        path
    }

    /// Writes bytes into the working directory.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.write(name, "");
        fs::write(&path, bytes).expect("write a file");
        path
    }

    /// The product with these arguments, in a small fixed environment, without a terminal and without input.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.attendant();
        if self.left_out.is_empty() {
            command.arg(artifacts::migraine()).args(args);
            self.settle(&mut command);
        } else {
            command.arg(artifacts::controlled_migraine()).args(args);
            self.settle(&mut command);
            command.env(CONTROLS, self.left_out);
        }
        command
    }

    /// Runs the product and gives the most memory that it had at once, in KiB.
    ///
    /// # Panics
    /// Nobody measured it.
    #[must_use]
    pub fn peak<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> (Done, u64) {
        let file = self.work().join("peak");
        let mut command = self.attendant();
        command.arg("--peak").arg(&file).arg(artifacts::migraine()).args(args);
        self.settle(&mut command);
        let done = Done::of(&mut command);
        let peak = fs::read_to_string(&file).ok().and_then(|text| text.parse().ok());
        fs::remove_file(&file).expect("remove a file");
        (done, peak.expect("the attendant measures"))
    }

    /// The program that runs others and says what they leave behind, as the home's user.
    pub(crate) fn attendant(&self) -> Command {
        let attend = artifacts::attend();
        self.user.map_or_else(|| Command::new(attend), |user| user.command(attend))
    }

    /// Gives a file to the home's user.
    pub(crate) fn give(&self, path: &Path) {
        if let Some(user) = self.user {
            user.give(path);
        }
    }

    /// Gives a file to the home's user, with a mode that nobody else can write with.
    ///
    /// # Panics
    /// It cannot be given away.
    pub fn own(&self, path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("set a mode");
        self.give(path);
    }

    /// From here on, runs are of a program that is no product: it leaves these checks out. Empty for a product again.
    pub fn leave_out(&mut self, checks: &'static str) {
        self.left_out = checks;
    }

    /// The product itself, for a run that is sent signals; nothing looks at what it leaves behind.
    #[must_use]
    pub fn product<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(artifacts::migraine());
        command.args(args);
        self.settle(&mut command);
        command
    }

    pub(crate) fn settle(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("SHELL", "/bin/sh").env("LANG", "C");
        command.env("MIGRAINE_HOME", self.path()).env("HOME", self.folder.path().join("user"));
        command.current_dir(self.work()).stdin(Stdio::null());
    }

    /// Runs the product.
    #[must_use]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Done {
        Done::of(&mut self.command(args))
    }

    /// Runs the product; it must succeed.
    ///
    /// # Panics
    /// It did not.
    pub fn ok(&self, args: &[&str]) -> Done {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done
    }

    /// Runs the product; it must write one JSON value and succeed.
    ///
    /// # Panics
    /// It did not.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Value {
        let done = self.run(["--format", "json"].iter().chain(args));
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {done:?}"))
    }

    /// Runs the product; it must end with this code and say so in JSON. The value is the error.
    ///
    /// # Panics
    /// It did not.
    pub fn refused(&self, args: &[&str], code: &str) -> Value {
        let done = self.run(["--format", "json"].iter().chain(args));
        let last = done.err.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{args:?}: {error}: {done:?}"));
        assert_eq!(error["code"], code, "{args:?}: {done:?}");
        assert_eq!(error["exit"], done.code, "{args:?}: {done:?}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{args:?}: {done:?}");
        error
    }

    /// How a run ends in one word, as the matrix has it: the stable code of its error, or that it worked.
    #[must_use]
    pub fn word<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let json = ["--format", "json"].map(|text| OsStr::new(text).to_owned());
        let done = self.run(json.into_iter().chain(args.into_iter().map(|arg| arg.as_ref().to_owned())));
        done.word()
    }

    /// Installs a plugin and enables it.
    ///
    /// # Panics
    /// It was refused.
    pub fn install(&self, parcel: &Parcel) {
        self.ok(&["plugin", "install", parcel.typed(), "--yes"]);
        assert_eq!(self.status(&parcel.name), "enabled");
    }

    /// A home with a plugin of the fixtures that asks for these permissions, granted all of them.
    ///
    /// # Panics
    /// It cannot be installed or enabled.
    #[must_use]
    pub fn granting(package: &str, permissions: &[String]) -> Self {
        Self::new().with_granted(package, permissions)
    }

    /// The same with a plugin of the fixtures that asks for these permissions, granted all of them.
    ///
    /// # Panics
    /// It cannot be installed or enabled.
    #[must_use]
    pub fn with_granted(self, package: &str, permissions: &[String]) -> Self {
        let parcel = remade(package, &json!({"permissions": permissions, "config": {}}));
        let mut line = vec!["plugin", "install", parcel.typed(), "--yes"];
        line.extend(permissions.iter().flat_map(|permission| ["--grant", permission.as_str()]));
        self.ok(&line);
        assert_eq!(self.status(package), "enabled");
        self
    }

    /// How a plugin stands.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn status(&self, name: &str) -> String {
        let info = self.json(&["plugin", "info", name]);
        info["status"].as_str().expect("a status is text").to_owned()
    }

    /// Everything in the home directory: mode and content of each file.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        // Tests of a machine that has seen nothing have none.
        if self.path().exists() {
            collect(&self.path(), &mut found);
        }
        found
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    /// A store's trees are read-only, for their owner too.
    fn drop(&mut self) {
        for (path, (mode, _)) in self.snapshot() {
            if mode & 0o40_000 != 0 {
                let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
            }
        }
    }
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("list a directory") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("an entry exists");
        let content = if metadata.is_dir() {
            collect(&entry.path(), found);
            Vec::new()
        } else {
            fs::read(entry.path()).expect("read a file")
        };
        found.insert(entry.path(), (metadata.mode(), content));
    }
}

impl fmt::Debug for Done {
    /// Floods are cut: nobody reads a megabyte in a failure message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| match text.char_indices().rev().nth(4000) {
            Some((at, _)) => format!("[{at} bytes] {}", &text[at..]),
            None => text.to_owned(),
        };
        f.debug_struct("Done")
            .field("code", &self.code)
            .field("out", &cut(&self.out))
            .field("err", &cut(&self.err))
            .field("took", &self.took)
            .finish()
    }
}

impl Done {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// It does not end in time, or leaves something behind.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        let run::Ran { code, out, err, took } = run::run(command, LIMIT);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let done = Self { code, out: text(out), err: text(err), took };
        done.checked(command)
    }

    /// How a run with `--format json` ended, in one word.
    ///
    /// # Panics
    /// It failed and wrote no error.
    #[must_use]
    pub fn word(&self) -> String {
        if self.code == 0 {
            return WORKS.to_owned();
        }
        let error: Option<Value> = self.err.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let code = error.as_ref().and_then(|error| error["code"].as_str());
        code.unwrap_or_else(|| panic!("no error was written: {self:?}")).to_owned()
    }

    pub(crate) fn checked(self, command: &Command) -> Self {
        assert!(!self.err.contains("LEFT BEHIND") && self.code != 99, "{command:?}: {self:?}");
        self
    }

    /// Whether it ended with this exit code; else the whole output is shown.
    ///
    /// # Panics
    /// It ended otherwise.
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Both streams must hold these texts between them.
    ///
    /// # Panics
    /// One is missing.
    pub fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is missing: {self:?}");
        }
        self
    }

    /// Neither stream may hold these texts.
    ///
    /// # Panics
    /// One is there.
    pub fn never_says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.out.contains(text) && !self.err.contains(text), "`{text}` is there: {self:?}");
        }
        self
    }
}
