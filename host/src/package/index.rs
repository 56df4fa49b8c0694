//! The index: the one text that is signed. It names the plugin, what it asks for and every file.
//!
//! ```text
//! migraine-index 1
//! name hello-world
//! version 1.0.0
//! api 1.0
//! created 2026-01-02T03:04:05Z
//! target x86_64-unknown-linux-gnu
//! entry libhello_world.so
//! permission filesystem=read:./logs
//! dependency log-tools ^1.2
//! file 0644 12345 SHA256 libhello_world.so
//! ```
//!
//! ASCII, lines end in LF, fields in this order, permissions in the order of [`Permission`], plugins
//! that it needs by name, files by path. A scope's
//! bytes outside `!`..`~`, and `%`, are written `%XX`. A value has one spelling: what renders differently is refused.

use std::fmt::Write as _;

use migraine_plugin_api::{ApiVersion, Permission};

use super::dependency::{NEEDS_MAX, Need};
use super::{FILES_MAX, INDEX_MAX, PackageError, UNPACKED_MAX, limit, path};
use crate::ids::{Digest, PluginName};

const FIRST_LINE: &str = "migraine-index 1";
/// The longest version number in bytes.
pub const VERSION_MAX: usize = 64;

/// What a package holds, as it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's version.
    pub version: semver::Version,
    /// The API version it was built with.
    pub api: ApiVersion,
    /// When it was made: RFC 3339, UTC, whole seconds.
    pub created: String,
    /// The path of the library, or of the manifest of scripts.
    pub entry: String,
    /// The machine it is for, as a target triple, or `any`.
    pub target: String,
    /// What it asks for, sorted.
    pub permissions: Vec<Permission>,
    /// The plugins that it needs, sorted by name.
    pub dependencies: Vec<Need>,
    /// Every file, sorted by path.
    pub files: Vec<FileEntry>,
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// `0o644` or `0o755`.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Of the content.
    pub digest: Digest,
    /// Relative, of the grammar in [`path`].
    pub path: String,
}

impl FileEntry {
    /// The entry of some content.
    #[must_use]
    pub fn of(path: &str, mode: u32, content: &[u8]) -> Self {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Self { mode, size, digest: Digest::of(content), path: path.to_owned() }
    }
}

impl Index {
    /// Reads an index text.
    ///
    /// # Errors
    /// It is over a cap, or not of the one accepted spelling; the line is named.
    pub fn parse(text: &[u8]) -> Result<Self, PackageError> {
        if text.len() > INDEX_MAX {
            return Err(limit("the index", "64 KiB"));
        }
        if !text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
            return Err(PackageError::Index {
                line: 1,
                reason: "it has bytes that are not printable ASCII".to_owned(),
            });
        }
        let text = std::str::from_utf8(text).map_err(|_| refuse(1, "it is not ASCII"))?;
        let mut lines = Lines { rest: text, line: 0 };
        if lines.next_line()? != FIRST_LINE {
            return Err(refuse(1, "the first line must be `migraine-index 1`; other versions are not known"));
        }
        let index = Self {
            name: lines.field("name")?,
            version: lines.field("version")?,
            api: lines.field("api")?,
            created: lines.field("created")?,
            target: lines.field("target")?,
            entry: lines.field("entry")?,
            permissions: lines.permissions()?,
            dependencies: lines.dependencies()?,
            files: lines.files()?,
        };
        index.check()?;
        first_difference(text, &index.render())
            .map_or(Ok(index), |line| Err(refuse(line, "it is not written in the one accepted form")))
    }

    /// The text that is signed. [`Index::parse`] of it gives the same index if [`Index::check`] passes.
    #[must_use]
    pub fn render(&self) -> String {
        let Self { name, version, api, created, target, entry, permissions, dependencies, files } = self;
        let mut text = format!(
            "{FIRST_LINE}\nname {name}\nversion {version}\napi {api}\ncreated {created}\ntarget {target}\nentry {entry}\n"
        );
        for permission in permissions {
            let _ = writeln!(text, "permission {}", escape(&permission.to_string()));
        }
        for need in dependencies {
            let _ = writeln!(text, "dependency {need}");
        }
        for FileEntry { mode, size, digest, path } in files {
            let _ = writeln!(text, "file {mode:04o} {size} {digest} {path}");
        }
        text
    }

    /// The digest of the rendered text: the package's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.render().as_bytes())
    }

    /// Whether its entry is a manifest, and what answers are scripts.
    #[must_use]
    pub fn holds_scripts(&self) -> bool {
        super::scripts::is_manifest(&self.entry)
    }

    /// The entry of the library.
    #[must_use]
    pub fn library(&self) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.path == self.entry)
    }

    /// Checks what no single line shows: order, caps, paths that conflict, an entry that is no file.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), PackageError> {
        let fail = |reason: String| Err(PackageError::Index { line: 0, reason });
        if self.version.to_string().len() > VERSION_MAX {
            return fail(format!("a version has at most {VERSION_MAX} bytes"));
        }
        if !is_time(&self.created) {
            return fail("`created` is not a time like 2026-01-02T03:04:05Z".to_owned());
        }
        let target_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if self.target.is_empty() || self.target.len() > 64 || !self.target.bytes().all(target_byte) {
            return fail("`target` is not a target triple".to_owned());
        }
        if !self.permissions.is_sorted_by(|one, next| one < next) {
            return fail("the permissions are not sorted, or one is there twice".to_owned());
        }
        let names = self.dependencies.iter().map(|need| &need.name);
        if self.dependencies.len() > NEEDS_MAX || !names.clone().is_sorted_by(|one, next| one < next) {
            return fail(format!(
                "the plugins that it needs are not sorted, one is there twice, or more than {NEEDS_MAX}"
            ));
        }
        if names.clone().any(|name| *name == self.name) {
            return fail("it needs itself".to_owned());
        }
        if self.files.len() > FILES_MAX {
            return Err(limit("the number of files", "256"));
        }
        if !self.files.is_sorted_by(|one, next| one.path < next.path) {
            return fail("the files are not sorted by path, or one is there twice".to_owned());
        }
        for file in &self.files {
            path::check(&file.path)?;
            if !matches!(file.mode, 0o644 | 0o755) {
                return fail(format!("the mode of {} is neither 0644 nor 0755", file.path));
            }
        }
        path::check_set(self.files.iter().map(|file| file.path.as_str()))?;
        let sum = self.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size));
        if sum.is_none_or(|sum| sum > UNPACKED_MAX) {
            return Err(limit("the sum of all files", "64 MiB"));
        }
        if self.library().is_none() {
            return fail("`entry` names no file of the package".to_owned());
        }
        Ok(())
    }
}

/// Whether a text is a time in the one accepted spelling.
#[must_use]
pub fn is_time(text: &str) -> bool {
    text.len() == 20 && text.parse::<jiff::Timestamp>().is_ok_and(|time| time.to_string() == text)
}

struct Lines<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Result<&'a str, PackageError> {
        self.line += 1;
        let (line, rest) = self
            .rest
            .split_once('\n')
            .ok_or_else(|| refuse(self.line, "the text ends where a whole line was expected"))?;
        self.rest = rest;
        Ok(line)
    }

    fn field<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, key: &str) -> Result<T, PackageError> {
        let line = self.next_line()?;
        let value = line
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| refuse(self.line, &format!("expected `{key} VALUE`")))?;
        value.parse().map_err(|error: T::Err| refuse(self.line, &error.to_string()))
    }

    fn permissions(&mut self) -> Result<Vec<Permission>, PackageError> {
        let mut found = Vec::new();
        while self.rest.starts_with("permission ") {
            let text: String = self.field("permission")?;
            let text = unescape(&text).ok_or_else(|| refuse(self.line, "a percent escape is not valid"))?;
            found.push(
                text.parse()
                    .map_err(|error: migraine_plugin_api::PermissionError| refuse(self.line, &error.to_string()))?,
            );
        }
        Ok(found)
    }

    fn dependencies(&mut self) -> Result<Vec<Need>, PackageError> {
        let mut found = Vec::new();
        while self.rest.starts_with("dependency ") {
            let text: String = self.field("dependency")?;
            found.push(text.parse().map_err(|reason: String| refuse(self.line, &reason))?);
        }
        Ok(found)
    }

    fn files(&mut self) -> Result<Vec<FileEntry>, PackageError> {
        let mut found = Vec::new();
        while !self.rest.is_empty() {
            let text: String = self.field("file")?;
            if found.len() == FILES_MAX {
                return Err(limit("the number of files", "256"));
            }
            found.push(read_file(&text).map_err(|reason| refuse(self.line, &reason))?);
        }
        Ok(found)
    }
}

fn read_file(text: &str) -> Result<FileEntry, String> {
    let mut parts = text.splitn(4, ' ');
    let mut part = || parts.next().ok_or("expected `file MODE SIZE SHA256 PATH`");
    Ok(FileEntry {
        mode: u32::from_str_radix(part()?, 8).map_err(|_| "the mode is no octal number")?,
        size: part()?.parse().map_err(|_| "the size is no number")?,
        digest: part()?.parse().map_err(|error: crate::ids::ParseIdError| error.to_string())?,
        path: part()?.to_owned(),
    })
}

fn refuse(line: usize, reason: &str) -> PackageError {
    PackageError::Index { line, reason: reason.to_owned() }
}

/// The one-based line in which two texts differ first.
fn first_difference(text: &str, canonical: &str) -> Option<usize> {
    if text == canonical {
        return None;
    }
    let same = text.split('\n').zip(canonical.split('\n')).take_while(|(one, other)| one == other).count();
    Some(same + 1)
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if matches!(byte, b'!'..=b'~') && byte != b'%' {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
