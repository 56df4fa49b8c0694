//! A build context as Docker's own client sends it: the directory as a tar archive, without what its `.dockerignore`
//! excludes, and with the Dockerfile also where that lies elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use migraine_plugin_api::{Host, PluginError};
use tar::{EntryType, Header};
use walkdir::WalkDir;

use crate::dockerignore::Ignore;
use crate::grants::require;

const IGNORE_FILE: &str = ".dockerignore";
/// The most of a Dockerfile or a `.dockerignore` that is read into memory, in bytes.
const TEXT_MAX: u64 = 1024 * 1024;
/// Directories that are open at the same time; a worker has few descriptors.
const OPEN_MAX: usize = 4;

/// A directory that may be read, and what is to be sent of it.
#[derive(Debug)]
pub(crate) struct BuildContext {
    directory: PathBuf,
    ignore: Ignore,
    /// The path of the Dockerfile within the archive.
    dockerfile: String,
    /// Files that the archive has and the directory has not, or not so.
    added: Vec<(String, Vec<u8>)>,
}

impl BuildContext {
    /// Looks at a directory and a Dockerfile, both by absolute paths.
    ///
    /// # Errors
    /// One of them is not granted or is not there, or the `.dockerignore` cannot be read.
    pub(crate) fn open(host: &Host, directory: PathBuf, file: &Path) -> Result<Self, PluginError> {
        require(host, &directory)?;
        let metadata = fs::metadata(&directory).map_err(|error| unreadable(&directory, &error))?;
        if !metadata.is_dir() {
            return Err(PluginError::failed(format!("{} is no directory", directory.display())));
        }
        let rules = match read_text(&directory.join(IGNORE_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(|error| unreadable(&directory.join(IGNORE_FILE), &error))?),
        };
        let ignore = Ignore::parse(&String::from_utf8_lossy(rules.as_deref().unwrap_or_default()))?;
        let mut context = Self { directory, ignore, dockerfile: String::new(), added: Vec::new() };
        context.add_dockerfile(host, file, rules)?;
        Ok(context)
    }

    /// The path of the Dockerfile within the archive.
    pub(crate) fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// The daemon reads the Dockerfile and the `.dockerignore` from the archive, and then removes what the rules exclude:
    /// so both are sent even if they are excluded, and one from elsewhere gets a name and a rule of its own.
    fn add_dockerfile(&mut self, host: &Host, file: &Path, rules: Option<Vec<u8>>) -> Result<(), PluginError> {
        let read = |file: &Path| read_text(file).map_err(|error| unreadable(file, &error));
        let mut rules = rules;
        if let Ok(inside) = file.strip_prefix(&self.directory) {
            let name = inside.to_str().ok_or_else(|| PluginError::failed("the Dockerfile's name is not UTF-8"))?;
            name.clone_into(&mut self.dockerfile);
            let text = read(file)?;
            if self.ignore.excludes(inside) {
                self.added.push((self.dockerfile.clone(), text));
            }
        } else {
            require(host, file.parent().unwrap_or(file))?;
            self.dockerfile = free_name(&self.directory);
            self.added.push((self.dockerfile.clone(), read(file)?));
            // Without rules of its own the context has no such file either.
            let rules = rules.get_or_insert_with(|| IGNORE_FILE.into());
            rules.extend_from_slice(format!("\n{}\n", self.dockerfile).as_bytes());
            self.added.push((IGNORE_FILE.to_owned(), rules.clone()));
            return Ok(());
        }
        match rules {
            Some(rules) if self.ignore.excludes(Path::new(IGNORE_FILE)) => {
                self.added.push((IGNORE_FILE.to_owned(), rules));
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the archive, always in the same order, and gives the paths that such an archive cannot hold.
    ///
    /// # Errors
    /// A file cannot be read or changed meanwhile, or the output is closed.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<Vec<PathBuf>> {
        let mut archive = tar::Builder::new(out);
        let mut skipped = Vec::new();
        for (name, text) in &self.added {
            let mut header = header(EntryType::Regular, 0o644, 0);
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, name, text.as_slice())?;
        }
        let walk = WalkDir::new(&self.directory).min_depth(1).max_open(OPEN_MAX).sort_by_file_name();
        let mut entries = walk.into_iter();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let path = entry.path().strip_prefix(&self.directory).unwrap_or(entry.path());
            if self.ignore.excludes(path) {
                if entry.file_type().is_dir() && !self.ignore.has_exceptions() {
                    entries.skip_current_dir();
                }
            } else if !self.added.iter().any(|(name, _)| Path::new(name) == path) {
                let appended = append(&mut archive, entry.path(), path, entry.file_type());
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                if !appended.map_err(named)? {
                    skipped.push(path.to_owned());
                }
            }
        }
        archive.finish()?;
        Ok(skipped)
    }
}

/// Appends one entry; `false` for what is neither a file, a directory nor a symbolic link.
fn append(archive: &mut tar::Builder<impl Write>, from: &Path, to: &Path, kind: fs::FileType) -> io::Result<bool> {
    if kind.is_file() {
        let file = open_file(from)?;
        let metadata = file.metadata()?;
        let mut header = header(EntryType::Regular, metadata.mode(), metadata.mtime());
        header.set_size(metadata.len());
        let left = metadata.len();
        archive.append_data(&mut header, to, Exact { inner: file.take(left), left })?;
    } else if kind.is_dir() {
        let metadata = fs::symlink_metadata(from)?;
        let mut header = header(EntryType::Directory, metadata.mode(), metadata.mtime());
        archive.append_data(&mut header, to, io::empty())?;
    } else if kind.is_symlink() {
        let metadata = fs::symlink_metadata(from)?;
        let mut header = header(EntryType::Symlink, metadata.mode(), metadata.mtime());
        archive.append_link(&mut header, to, fs::read_link(from)?)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// A header as Docker's client writes it: everything belongs to root.
fn header(kind: EntryType, mode: u32, mtime: i64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_mtime(mtime.try_into().unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

/// Opens a regular file. The name may have been given to something else since it was listed: a link is not followed, and
/// a pipe without a writer does not hold the reader.
fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    file.take(TEXT_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > TEXT_MAX { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(text) }
}

/// A name that nothing in the directory has.
fn free_name(directory: &Path) -> String {
    let names = (0..).map(|number| format!(".dockerfile.{number}"));
    let is_free = |name: &String| fs::symlink_metadata(directory.join(name)).is_err();
    names.into_iter().find(is_free).unwrap_or_default()
}

fn unreadable(path: &Path, error: &io::Error) -> PluginError {
    PluginError::failed(format!("cannot read {}: {error}", path.display()))
}

/// A file of exactly the size that its header says: the archive would be broken otherwise.
struct Exact {
    inner: io::Take<File>,
    left: u64,
}

impl io::Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
