//! The `.mgp` file: one zstd frame around a ustar archive of which every header is the one canonical header of its place.
//! Other entry types, extensions, duplicates or paths need no rule of their own: their header is not the expected one. What
//! they are is looked at only to say so.

mod diagnosis;

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _, Write as _};

use super::signature::{SIGNATURE_LEN, Signature};
use super::{FileEntry, INDEX_MAX, Index, PACKAGE_MAX, PackageError, limit};

/// The first bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window the decoder may be asked for, as a power of two: 8 MiB, what level 19 writes at most.
const WINDOW_LOG_MAX: u32 = 23;
/// Fixed, so that the same files give the same bytes.
const LEVEL: i32 = 19;
pub(super) const BLOCK: usize = 512;
/// The name of the index in a package.
pub const INDEX_NAME: &str = "index";
/// The name of its signature there.
pub const SIGNATURE_NAME: &str = "index.sig";

/// Builds a package. The same arguments give the same bytes.
///
/// # Errors
/// The index is not valid, the files are not the listed ones, or the package is over a cap.
pub fn pack(index_text: &str, signature: &Signature, files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, PackageError> {
    pack_parts(index_text, Some(signature), None, files)
}

/// Builds what a machine of one kind takes of a package: the libraries for others stay out of it. It is no package by
/// itself.
///
/// # Errors
/// As [`pack`], of the files for that machine.
pub fn pack_for(
    target: &str,
    index_text: &str,
    signature: &Signature,
    files: &[(String, Vec<u8>)],
) -> Result<Vec<u8>, PackageError> {
    pack_parts(index_text, Some(signature), Some(target), files)
}

pub(super) fn pack_parts(
    index_text: &str,
    signature: Option<&Signature>,
    target: Option<&str>,
    files: &[(String, Vec<u8>)],
) -> Result<Vec<u8>, PackageError> {
    let index = Index::parse(index_text.as_bytes())?;
    let listed: Vec<&FileEntry> =
        target.map_or_else(|| index.files.iter().collect(), |target| index.files_for(target).collect());
    if !listed.iter().map(|file| &file.path).eq(files.iter().map(|(path, _)| path)) {
        let reason = "the files are not those of the index, in its order".to_owned();
        return Err(PackageError::ContentMismatch { what: index.name.to_string(), reason });
    }
    let mut archive = Vec::new();
    append(&mut archive, INDEX_NAME, 0o644, index_text.as_bytes())?;
    if let Some(signature) = signature {
        append(&mut archive, SIGNATURE_NAME, 0o644, signature.render().as_bytes())?;
    }
    for (entry, (_, content)) in listed.into_iter().zip(files) {
        append(&mut archive, &entry.path, entry.mode, content)?;
    }
    archive.extend_from_slice(&[0; 2 * BLOCK]);
    let package = compress(&archive).map_err(|error| PackageError::Compression { reason: error.to_string() })?;
    if package.len() > PACKAGE_MAX {
        return Err(limit("the package", "64 MiB"));
    }
    Ok(package)
}

pub(super) fn compress(archive: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(u64::try_from(archive.len()).ok())?;
    encoder.write_all(archive)?;
    encoder.finish()
}

pub(super) fn append(archive: &mut Vec<u8>, path: &str, mode: u32, content: &[u8]) -> Result<(), PackageError> {
    let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
    archive.extend_from_slice(header(path, mode, size)?.as_bytes());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

/// The one header that an entry may have: a regular file, no owner, no time.
fn header(path: &str, mode: u32, size: u64) -> Result<tar::Header, PackageError> {
    let mut header = tar::Header::new_ustar();
    let reason = "it does not fit the name fields of a ustar header";
    header.set_path(path).map_err(|_| PackageError::Path { path: path.to_owned(), reason })?;
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

/// The index text and the signature block, and not one byte more.
///
/// # Errors
/// The file is over the cap, no package, or its first two entries are not of the one accepted form.
pub(super) fn read_head(package: &[u8]) -> Result<(Vec<u8>, Option<Signature>), PackageError> {
    let mut reader = Reader::new(package)?;
    let first = reader.block(INDEX_NAME)?;
    let size = tar::Header::from_byte_slice(&first).entry_size().ok().and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or(PackageError::Entry { entry: INDEX_NAME.to_owned(), reason: "it has no size" })?;
    if size > INDEX_MAX {
        return Err(limit("the index", "64 KiB"));
    }
    reader.expect_header(&first, INDEX_NAME, 0o644, size)?;
    reader.seen.insert(INDEX_NAME.to_owned());
    let index_text = reader.content(INDEX_NAME, size)?;
    let second = reader.block(SIGNATURE_NAME)?;
    // An unsigned package goes straight on to its first file; what that is gets judged with the other files.
    if !second.starts_with(b"index.sig\0") {
        diagnosis::check_type(&second)?;
        return Ok((index_text, None));
    }
    let size = tar::Header::from_byte_slice(&second).entry_size().ok();
    if size != u64::try_from(SIGNATURE_LEN).ok() {
        return Err(PackageError::Signature { reason: "it has not the one possible length" });
    }
    reader.expect_header(&second, SIGNATURE_NAME, 0o644, SIGNATURE_LEN)?;
    let block = reader.content(SIGNATURE_NAME, SIGNATURE_LEN)?;
    Ok((index_text, Some(Signature::parse(&block)?)))
}

/// The content of these files of the index, which must be all that there is.
///
/// # Errors
/// Any entry that is not the canonical one of its place, or anything after the last.
pub(super) fn read_files(
    package: &[u8],
    index_text: &[u8],
    signature: Option<&Signature>,
    files: &[FileEntry],
) -> Result<Vec<Vec<u8>>, PackageError> {
    let mut reader = Reader::new(package)?;
    let mut head = vec![(INDEX_NAME, index_text.to_vec())];
    head.extend(signature.map(|signature| (SIGNATURE_NAME, signature.render().into_bytes())));
    for (name, expected) in head {
        let found = reader.entry(name, 0o644, expected.len())?;
        if found != expected {
            return Err(PackageError::Entry { entry: name.to_owned(), reason: "it is not what was judged" });
        }
    }
    let mut contents = Vec::with_capacity(files.len());
    for file in files {
        let size = usize::try_from(file.size).map_err(|_| limit(&file.path, "64 MiB"))?;
        contents.push(reader.entry(&file.path, file.mode, size)?);
    }
    reader.end()?;
    Ok(contents)
}

/// Reads what it is told to expect: memory is bounded by the caller's sizes, never by the archive's.
pub(super) struct Reader<'a> {
    stream: zstd::stream::read::Decoder<'static, &'a [u8]>,
    /// The names of the entries so far, in lower case.
    seen: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(package: &'a [u8]) -> Result<Self, PackageError> {
        Self::within(package, PACKAGE_MAX, "the package", "64 MiB")
    }

    /// As [`Reader::new`], of something with another cap.
    pub(super) fn within(package: &'a [u8], most: usize, what: &str, cap: &str) -> Result<Self, PackageError> {
        if package.len() > most {
            return Err(limit(what, cap));
        }
        // Also refuses skippable frames, which could hide anything in front of the archive.
        if !package.starts_with(&ZSTD_MAGIC) {
            return Err(PackageError::Format { reason: "it does not begin with a zstd frame" });
        }
        let mut stream =
            zstd::stream::read::Decoder::with_buffer(package).map_err(|error| damaged(&error))?.single_frame();
        stream.window_log_max(WINDOW_LOG_MAX).map_err(|error| damaged(&error))?;
        Ok(Self { stream, seen: BTreeSet::new() })
    }

    pub(super) fn block(&mut self, entry: &str) -> Result<[u8; BLOCK], PackageError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block, entry)?;
        Ok(block)
    }

    fn fill(&mut self, target: &mut [u8], entry: &str) -> Result<(), PackageError> {
        self.stream.read_exact(target).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                PackageError::Entry { entry: entry.to_owned(), reason: "the archive ends before its end" }
            }
            _ => damaged(&error),
        })
    }

    fn entry(&mut self, path: &str, mode: u32, size: usize) -> Result<Vec<u8>, PackageError> {
        let block = self.block(path)?;
        self.expect_header(&block, path, mode, size)?;
        self.seen.insert(path.to_ascii_lowercase());
        self.content(path, size)
    }

    pub(super) fn expect_header(
        &self,
        found: &[u8; BLOCK],
        path: &str,
        mode: u32,
        size: usize,
    ) -> Result<(), PackageError> {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if header(path, mode, size)?.as_bytes() == found {
            return Ok(());
        }
        Err(diagnosis::of_header(found, path, &self.seen))
    }

    pub(super) fn content(&mut self, path: &str, size: usize) -> Result<Vec<u8>, PackageError> {
        let mut content = vec![0; size.next_multiple_of(BLOCK)];
        self.fill(&mut content, path)?;
        if content.drain(size..).any(|byte| byte != 0) {
            return Err(PackageError::Entry { entry: path.to_owned(), reason: "it is not padded with zeros" });
        }
        Ok(content)
    }

    /// Two blocks of zeros, the end of the frame, the end of the file.
    fn end(self) -> Result<(), PackageError> {
        self.end_after(0)
    }

    /// As [`Reader::end`], where this many of the blocks were read.
    pub(super) fn end_after(mut self, read: usize) -> Result<(), PackageError> {
        let refuse = |reason| Err(PackageError::Entry { entry: "end".to_owned(), reason });
        for _ in read..2 {
            let block = self.block("end")?;
            if block.iter().any(|byte| *byte != 0) {
                return Err(diagnosis::of_header(&block, "end", &self.seen));
            }
        }
        if self.stream.read(&mut [0]).map_err(|error| damaged(&error))? != 0 {
            return refuse("the archive goes on after its end");
        }
        if !self.stream.get_mut().fill_buf().map_err(|error| damaged(&error))?.is_empty() {
            return Err(PackageError::Format { reason: "it goes on after the compressed stream" });
        }
        Ok(())
    }
}

fn damaged(error: &std::io::Error) -> PackageError {
    PackageError::Compression { reason: error.to_string() }
}

#[cfg(test)]
mod tests;
