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
//! A package for several machines has the lines `target` and `entry` once for each, in the order of targets; other files
//! are for all of them. ASCII, lines end in LF, fields in this order, permissions in the order of [`Permission`], plugins
//! that it needs by name, files by path. A scope's
//! bytes outside `!`..`~`, and `%`, are written `%XX`. A value has one spelling: what renders differently is refused.

use std::fmt::Write as _;

use migraine_plugin_api::{ApiVersion, Permission};

use super::dependency::{NEEDS_MAX, Need};
use super::scripts::{ANY_TARGET, is_manifest};
use super::{FILES_MAX, INDEX_MAX, PackageError, TARGET, UNPACKED_MAX, limit, path};
use crate::ids::{Digest, PluginName};

/// What every index begins with.
pub const FIRST_LINE: &str = "migraine-index 1";
/// The longest version number in bytes.
pub const VERSION_MAX: usize = 64;
/// The most machines that one package is for.
pub const TARGETS_MAX: usize = 16;

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
    /// The machine that the entry is for, as a target triple, or `any`. Of several, this machine; where it is for others
    /// alone, the first of them.
    pub target: String,
    /// What it holds for other machines, sorted.
    pub others: Vec<Build>,
    /// What it asks for, sorted.
    pub permissions: Vec<Permission>,
    /// The plugins that it needs, sorted by name.
    pub dependencies: Vec<Need>,
    /// Every file, sorted by path.
    pub files: Vec<FileEntry>,
}

/// The library for one kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build {
    /// The machine, as a target triple.
    pub target: String,
    /// The path of its library.
    pub entry: String,
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
        let (name, version) = (lines.field("name")?, lines.field("version")?);
        let (api, created) = (lines.field("api")?, lines.field("created")?);
        let (Build { target, entry }, others) = lines.builds()?;
        let index = Self {
            name,
            version,
            api,
            created,
            target,
            entry,
            others,
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
        let Self { name, version, api, created, permissions, dependencies, files, .. } = self;
        let mut text = format!("{FIRST_LINE}\nname {name}\nversion {version}\napi {api}\ncreated {created}\n");
        for Build { target, entry } in self.builds() {
            let _ = write!(text, "target {target}\nentry {entry}\n");
        }
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
        is_manifest(&self.entry)
    }

    /// What it holds, by machine, sorted.
    #[must_use]
    pub fn builds(&self) -> Vec<Build> {
        let own = Build { target: self.target.clone(), entry: self.entry.clone() };
        let mut builds: Vec<_> = self.others.iter().cloned().chain([own]).collect();
        builds.sort();
        builds
    }

    /// Replaces what it holds; there is at least one.
    pub(super) fn set_builds(&mut self, mut builds: Vec<Build>) {
        builds.sort();
        let Build { target, entry } = take_own(&mut builds);
        (self.target, self.entry, self.others) = (target, entry, builds);
    }

    /// The machines that it is for, sorted.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        self.builds().into_iter().map(|build| build.target).collect()
    }

    /// Whether it holds something for this machine.
    #[must_use]
    pub fn is_for_this_machine(&self) -> bool {
        self.target == TARGET || (self.holds_scripts() && self.target == ANY_TARGET)
    }

    /// The files that are installed: all but the libraries for other machines.
    pub fn own_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|file| self.is_own(&file.path))
    }

    /// The files that a machine of this kind takes: all but the libraries for others.
    pub fn files_for(&self, target: &str) -> impl Iterator<Item = &FileEntry> {
        let others: Vec<Build> = self.builds().into_iter().filter(|build| build.target != target).collect();
        self.files.iter().filter(move |file| others.iter().all(|other| other.entry != file.path))
    }

    pub(super) fn is_own(&self, path: &str) -> bool {
        self.others.iter().all(|other| other.entry != path)
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
        self.check_builds()?;
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
        if !self.files.is_sorted_by(|one, next| one.path <= next.path) {
            return fail("the files are not sorted by path".to_owned());
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
        let is_file = |entry: &str| self.files.iter().any(|file| file.path == entry);
        match self.builds().iter().find(|build| !is_file(&build.entry)) {
            Some(build) => fail(format!("`entry {}` names no file of the package", build.entry)),
            None => Ok(()),
        }
    }

    fn check_builds(&self) -> Result<(), PackageError> {
        let fail = |reason: &str| Err(refuse(0, reason));
        let builds = self.builds();
        if builds.len() > TARGETS_MAX {
            return Err(limit("the number of targets", "16"));
        }
        let target_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let is_triple = |target: &str| !target.is_empty() && target.len() <= 64 && target.bytes().all(target_byte);
        if !builds.iter().all(|build| is_triple(&build.target)) {
            return fail("`target` is not a target triple");
        }
        if builds.windows(2).any(|pair| pair[0].target == pair[1].target) {
            return fail("a target is there twice");
        }
        if builds.len() == 1 {
            return Ok(());
        }
        let is_shared = |build: &Build| builds.iter().filter(|other| other.entry == build.entry).count() > 1;
        if builds.iter().any(|build| build.target == ANY_TARGET || is_manifest(&build.entry) || is_shared(build)) {
            return fail("a package for several machines has a library for each of them");
        }
        Ok(())
    }
}

/// Takes out what is for this machine, else the first.
fn take_own(builds: &mut Vec<Build>) -> Build {
    let own = builds.iter().position(|build| build.target == TARGET).unwrap_or(0);
    builds.remove(own)
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

    /// What is for this machine, else the first, and the others. That they are sorted shows when the text is rendered.
    fn builds(&mut self) -> Result<(Build, Vec<Build>), PackageError> {
        let mut builds = vec![Build { target: self.field("target")?, entry: self.field("entry")? }];
        while self.rest.starts_with("target ") {
            if builds.len() == TARGETS_MAX {
                return Err(limit("the number of targets", "16"));
            }
            builds.push(Build { target: self.field("target")?, entry: self.field("entry")? });
        }
        Ok((take_own(&mut builds), builds))
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
