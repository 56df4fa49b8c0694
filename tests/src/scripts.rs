//! Signed plugins of scripts for throw-away homes: a manifest and the files beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use migraine_host::package::scripts::assemble;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::home::Home;
use crate::package::key;

/// When every package was made.
const CREATED: &str = "2026-01-02T03:04:05Z";

/// A plugin of scripts.
#[derive(Debug, Clone)]
pub struct Script {
    manifest: Value,
    files: Vec<(String, Vec<u8>)>,
}

impl Script {
    /// A plugin of that name, without anything.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let manifest = json!({"name": name, "version": "1.0.0", "permissions": [], "hooks": [], "commands": []});
        Self { manifest, files: Vec::new() }
    }

    /// One that subscribes to an event with a function `f` of this Python text.
    #[must_use]
    pub fn python(event: &str, text: &str) -> Self {
        Self::new("script").file("main.py", text).hook(&json!({"event": event, "handler": function("f")}))
    }

    /// One with a command `go` that calls a function `f` of this Python text.
    #[must_use]
    pub fn python_command(text: &str) -> Self {
        Self::new("script").file("main.py", text).command(&json!({"name": "go", "handler": function("f")}))
    }

    /// One that subscribes to an event with this Bash text.
    #[must_use]
    pub fn bash(event: &str, text: &str) -> Self {
        Self::new("script").hook(&json!({"event": event, "handler": bash(text)}))
    }

    /// One with a command `go` that runs this Bash text.
    #[must_use]
    pub fn bash_command(text: &str) -> Self {
        Self::new("script").command(&json!({"name": "go", "handler": bash(text)}))
    }

    /// Adds a file beside the manifest.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Adds a subscription.
    #[must_use]
    pub fn hook(self, hook: &Value) -> Self {
        self.push("hooks", hook)
    }

    /// Adds a command.
    #[must_use]
    pub fn command(self, command: &Value) -> Self {
        self.push("commands", command)
    }

    /// Asks for a permission.
    #[must_use]
    pub fn asking(self, permissions: &[&str]) -> Self {
        permissions.iter().fold(self, |script, permission| script.push("permissions", &json!(permission)))
    }

    /// Sets a value of the configuration.
    #[must_use]
    pub fn config(mut self, key: &str, value: &Value) -> Self {
        self.manifest["config"][key] = value.clone();
        self
    }

    /// Sets a field of the manifest.
    #[must_use]
    pub fn field(mut self, name: &str, value: &Value) -> Self {
        self.manifest[name] = value.clone();
        self
    }

    fn push(mut self, list: &str, value: &Value) -> Self {
        self.manifest[list].as_array_mut().expect("a list").push(value.clone());
        self
    }

    /// Installs it into a home, granted all that it asks for.
    ///
    /// # Panics
    /// It was refused.
    pub fn install(&self, home: &Home) {
        let (_folder, path) = self.package();
        let path = path.display().to_string();
        let mut line = vec!["plugin", "install", &path, "--yes"];
        let asked = self.manifest["permissions"].as_array().expect("a list");
        line.extend(asked.iter().flat_map(|permission| ["--grant", permission.as_str().expect("a text")]));
        home.ok(&line);
    }

    /// Installs it into a home of its own.
    #[must_use]
    pub fn installed(&self, home: Home) -> Home {
        self.install(&home);
        home
    }

    /// Writes the signed package.
    ///
    /// # Panics
    /// It is refused, or cannot be written.
    #[must_use]
    pub fn package(&self) -> (TempDir, PathBuf) {
        let open = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("migraine-script-").permissions(open).tempdir();
        let folder = folder.expect("make a directory");
        let mut files = self.files.clone();
        files.push(("plugin.json".to_owned(), self.manifest.to_string().into_bytes()));
        let package = assemble("plugin.json", files, CREATED).expect("the scripts can be packaged");
        let bytes = package.package(&key().sign(package.index.render().as_bytes())).expect("within the limits");
        let path = folder.path().join("script.mgp");
        fs::write(&path, bytes).expect("write a package");
        (folder, path)
    }
}

/// A function of the module `main` as a handler.
#[must_use]
pub fn function(name: &str) -> Value {
    json!({"type": "python", "module": "main", "function": name})
}

/// A Bash text as a handler.
#[must_use]
pub fn bash(text: &str) -> Value {
    json!({"type": "bash", "script": text})
}
