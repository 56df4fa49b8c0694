//! Packages that no tool of the project would write: each field of each entry as a test wants it, and frames of zstd made
//! by hand. The index is signed by the key that homes trust, so that nothing but the form can stop them.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use migraine_host::ids::Digest;
use tempfile::TempDir;

use crate::package::key;

const BLOCK: usize = 512;
/// The largest block of a zstd frame (RFC 8878, 3.1.1.2.4).
const ZSTD_BLOCK: usize = 128 << 10;

/// One entry of an archive; nothing about it needs to be true.
#[derive(Debug, Clone)]
pub struct Entry {
    header: [u8; BLOCK],
    content: Vec<u8>,
}

impl Entry {
    /// A plain file in the one accepted form.
    #[must_use]
    pub fn file(name: &[u8], content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        let entry = Self { header: *header.as_bytes(), content: content.to_vec() };
        entry.field(0, 100, name)
    }

    /// An entry of a type, without content, that refers to another name.
    #[must_use]
    pub fn of_type(kind: u8, name: &[u8], link: &[u8]) -> Self {
        Self::file(name, b"").field(156, 1, &[kind]).field(157, 100, link)
    }

    /// The extension header of pax with these records, and a type of its own for `x` or `g`.
    #[must_use]
    pub fn pax(kind: u8, records: &[(&str, &str)]) -> Self {
        let record = |(name, value): &(&str, &str)| {
            let rest = name.len() + value.len() + 3;
            let mut length = rest + 1;
            while length.to_string().len() + rest != length {
                length += 1;
            }
            format!("{length} {name}={value}\n")
        };
        let text: String = records.iter().map(record).collect();
        Self::file(b"PaxHeaders/x", text.as_bytes()).field(156, 1, &[kind])
    }

    /// With other bytes in a field of the header.
    #[must_use]
    pub fn field(mut self, at: usize, length: usize, bytes: &[u8]) -> Self {
        self.header[at..at + length].fill(0);
        let shown = bytes.len().min(length);
        self.header[at..at + shown].copy_from_slice(&bytes[..shown]);
        self
    }

    /// With a mode, in octal.
    #[must_use]
    pub fn mode(self, octal: &[u8; 7]) -> Self {
        self.field(100, 8, octal)
    }

    /// With a size that need not be that of its content, in octal.
    #[must_use]
    pub fn claims(self, octal: &[u8; 11]) -> Self {
        self.field(124, 12, octal)
    }

    /// Header, content and padding.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut header = tar::Header::from_byte_slice(&self.header).clone();
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&self.content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}

/// A package in the making.
#[derive(Debug, Clone)]
pub struct Crafted {
    /// The text that is signed.
    pub index: String,
    /// What follows index and signature.
    pub entries: Vec<Entry>,
    /// The text that stands as the signature; made over the index where there is none.
    pub signature: Option<Vec<u8>>,
}

/// The manifest of every crafted package.
pub const MANIFEST: &str =
    "name: crafted\nversion: 1.0.0\ncommands: [{name: go, handler: {type: bash, script: 'echo gone'}}]\n";

impl Crafted {
    /// A package that is in order, of scripts and these texts beside the manifest.
    #[must_use]
    pub fn good(texts: &[(&str, &[u8])]) -> Self {
        let mut files = vec![("plugin.yaml", MANIFEST.as_bytes())];
        files.extend(texts);
        Self::of(&files)
    }

    /// A package of these files, whatever they are, the first of which is the entry.
    #[must_use]
    pub fn of(files: &[(&str, &[u8])]) -> Self {
        let entry = files.first().map_or("", |(path, _)| path);
        let mut sorted = files.to_vec();
        sorted.sort_by_key(|(path, _)| *path);
        let line =
            |(path, content): &(&str, &[u8])| format!("file 0644 {} {} {path}\n", content.len(), Digest::of(content));
        let lines: String = sorted.iter().map(line).collect();
        let index = format!(
            "migraine-index 1\nname crafted\nversion 1.0.0\napi 1.0\ncreated 2026-01-02T03:04:05Z\ntarget any\nentry {entry}\n{lines}"
        );
        let entries = sorted.iter().map(|(path, content)| Entry::file(path.as_bytes(), content)).collect();
        Self { index, entries, signature: None }
    }

    /// With another entry in front of the files.
    #[must_use]
    pub fn before(mut self, entry: Entry) -> Self {
        self.entries.insert(0, entry);
        self
    }

    /// With another entry behind the files.
    #[must_use]
    pub fn then(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// With another index.
    #[must_use]
    pub fn reworded(mut self, from: &str, to: &str) -> Self {
        assert!(self.index.contains(from), "`{from}` is not in the index");
        self.index = self.index.replacen(from, to, 1);
        self
    }

    /// The archive as it is compressed.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let signature = self.signature.clone().unwrap_or_else(|| self.block());
        let head = [Entry::file(b"index", self.index.as_bytes()), Entry::file(b"index.sig", &signature)];
        archive_of(&[&head[..], &self.entries].concat())
    }

    /// The signature over its index.
    #[must_use]
    pub fn block(&self) -> Vec<u8> {
        key().sign(self.index.as_bytes()).render().into_bytes()
    }

    /// The package file.
    #[must_use]
    pub fn package(&self) -> Vec<u8> {
        compressed(&self.archive())
    }
}

/// An archive of these entries and its end.
#[must_use]
pub fn archive_of(entries: &[Entry]) -> Vec<u8> {
    let mut archive: Vec<u8> = entries.iter().flat_map(Entry::bytes).collect();
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// Compresses an archive as a package is.
///
/// # Panics
/// It cannot be compressed.
#[must_use]
pub fn compressed(archive: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(archive, 1).expect("compress in memory")
}

/// A frame of plain blocks, and then of zeros: each block of four bytes stands for 128 KiB. `window` is the power of two that
/// the decoder is asked to keep.
#[must_use]
pub fn frame(archive: &[u8], zeros: u64, window: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3];
    let mut block = |kind: u32, size: usize, last: bool, content: &[u8]| {
        let header = u32::from(last) | kind << 1 | u32::try_from(size).expect("a block is small") << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(content);
    };
    for piece in archive.chunks(ZSTD_BLOCK) {
        block(0, piece.len(), false, piece);
    }
    for _ in 0..zeros.div_ceil(ZSTD_BLOCK as u64) {
        block(1, ZSTD_BLOCK, false, &[0]);
    }
    block(0, 0, true, &[]);
    frame
}

/// How many bytes a decoder without caps makes of a package, up to `most`.
///
/// # Panics
/// It cannot be decoded.
#[must_use]
pub fn unpacked_size(package: &[u8], most: u64) -> u64 {
    let decoder = zstd::stream::read::Decoder::new(package).expect("a decoder");
    let mut rest = decoder.take(most);
    std::io::copy(&mut rest, &mut std::io::sink()).expect("decode")
}

/// What stock `tar` makes of an archive: a directory that it was told to unpack into, and everything around it.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
}

impl Unpacked {
    /// A directory to unpack into, with a file beside it that an archive may want to change.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("make a directory");
        fs::create_dir(folder.path().join("in")).expect("make a directory");
        fs::create_dir(folder.path().join("beside")).expect("make a directory");
        fs::set_permissions(folder.path().join("beside"), fs::Permissions::from_mode(0o700)).expect("set a mode");
        fs::write(folder.path().join("secret"), "secret").expect("write a file");
        Self { folder }
    }

    /// A path around the directory; `in/...` lies inside.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Unpacks, whatever names and modes the archive has.
    ///
    /// # Panics
    /// There is no `tar`.
    pub fn unpack(&self, archive: &[u8]) {
        let file = self.path("archive.tar");
        fs::write(&file, archive).expect("write the archive");
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--absolute-names", "--preserve-permissions", "--no-same-owner", "--file"]).arg(&file);
        // It may well complain; what counts is what is there afterwards.
        let _ = tar.arg("--directory").arg(self.path("in")).output().expect("run tar");
    }

    /// The content of a file, if it is there.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }
}

impl Default for Unpacked {
    fn default() -> Self {
        Self::new()
    }
}
