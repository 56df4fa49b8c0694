//! A bundle: packages, public keys and a lock in one file, for a site without a network. One zstd frame around a ustar
//! archive of regular files, in the order of their paths, each header the one canonical header of its place. Nothing in it
//! is trusted because it is in it: each package is judged by its own signature.

use super::archive::{BLOCK, Reader, append, compress};
use super::{PACKAGE_MAX, PackageError, limit, path};

/// The largest bundle in bytes.
pub const BUNDLE_MAX: usize = 512 << 20;
/// The largest sum of its files in bytes.
const CONTENT_MAX: usize = 512 << 20;
/// The most files in it.
const ENTRIES_MAX: usize = 2048;

/// Path and content of a file.
pub type BundleFile = (String, Vec<u8>);

/// Puts files into a bundle. The same files give the same bytes.
///
/// # Errors
/// A path is none of a package, stands twice, or the bundle is over a cap.
pub fn pack(mut files: Vec<BundleFile>) -> Result<Vec<u8>, PackageError> {
    files.sort_by(|one, other| one.0.cmp(&other.0));
    path::check_set(files.iter().map(|(path, _)| path.as_str()))?;
    if files.len() > ENTRIES_MAX {
        return Err(limit("the number of files of the bundle", "2048"));
    }
    let mut archive = Vec::new();
    for (path, content) in &files {
        path::check(path)?;
        append(&mut archive, path, 0o644, content)?;
    }
    archive.extend_from_slice(&[0; 2 * BLOCK]);
    let bytes = compress(&archive).map_err(|error| PackageError::Compression { reason: error.to_string() })?;
    if archive.len() > CONTENT_MAX || bytes.len() > BUNDLE_MAX {
        return Err(limit("the bundle", "512 MiB"));
    }
    Ok(bytes)
}

/// The files of a bundle, in the order of their paths.
///
/// # Errors
/// It is over a cap, no bundle, or an entry is not the canonical one of its place.
pub fn unpack(bytes: &[u8]) -> Result<Vec<BundleFile>, PackageError> {
    let mut reader = Reader::within(bytes, BUNDLE_MAX, "the bundle", "512 MiB")?;
    let (mut files, mut sum): (Vec<BundleFile>, usize) = (Vec::new(), 0);
    loop {
        let block = reader.block("the next file")?;
        if block.iter().all(|byte| *byte == 0) {
            break;
        }
        let (path, size) = named(&block)?;
        path::check(&path)?;
        if files.last().is_some_and(|(last, _)| *last >= path) {
            return Err(PackageError::Entry { entry: path, reason: "the files are not in the order of their paths" });
        }
        sum = sum.saturating_add(size);
        if size > PACKAGE_MAX || sum > CONTENT_MAX || files.len() == ENTRIES_MAX {
            return Err(limit("the bundle's content", "512 MiB in 2048 files of 64 MiB"));
        }
        reader.expect_header(&block, &path, 0o644, size)?;
        let content = reader.content(&path, size)?;
        files.push((path, content));
    }
    reader.end_after(1)?;
    path::check_set(files.iter().map(|(path, _)| path.as_str()))?;
    Ok(files)
}

/// What a header says of the file's name and size; the rest of it is compared afterwards.
fn named(block: &[u8; BLOCK]) -> Result<(String, usize), PackageError> {
    let refuse = |reason| PackageError::Entry { entry: "the next file".to_owned(), reason };
    let header = tar::Header::from_byte_slice(block);
    let path = header.path_bytes();
    let path = std::str::from_utf8(&path).map_err(|_| refuse("its name is not ASCII"))?.to_owned();
    let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok());
    Ok((path, size.ok_or_else(|| refuse("it has no size"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<BundleFile> {
        vec![("keys/a.pub".to_owned(), b"key\n".to_vec()), ("migraine.lock".to_owned(), vec![7; 1000])]
    }

    #[test]
    fn a_bundle_reads_what_it_writes_and_is_the_same_each_time() {
        let bytes = pack(files()).unwrap();
        assert_eq!(unpack(&bytes).unwrap(), files());
        assert_eq!(pack(files().into_iter().rev().collect()).unwrap(), bytes);
        assert_eq!(unpack(&pack(Vec::new()).unwrap()).unwrap(), []);
    }

    /// Every change of a byte that gets past the checksum of the frame is found; here the archive itself is changed.
    #[test]
    fn every_other_archive_is_refused() {
        let good = zstd::decode_all(pack(files()).unwrap().as_slice()).unwrap();
        let check = |what: &str, archive: Vec<u8>| {
            let error = unpack(&compress(&archive).unwrap()).map(|files| files.len());
            assert!(error.is_err(), "{what}: {error:?}");
        };
        for at in (0..BLOCK).filter(|at| good[*at] != 0) {
            let mut changed = good.clone();
            changed[at] ^= 1;
            check(&format!("byte {at} of the first header"), changed);
        }
        let entry = |path: &str| {
            let mut archive = Vec::new();
            append(&mut archive, path, 0o644, b"x").unwrap();
            archive
        };
        let end = vec![0; 2 * BLOCK];
        check("out of order", [entry("b"), entry("a"), end.clone()].concat());
        check("twice", [entry("a"), entry("a"), end.clone()].concat());
        check("upper and lower case", [entry("A"), entry("a"), end.clone()].concat());
        check("a name of the package's own", [entry("index"), end.clone()].concat());
        check("no end", entry("a"));
        check("half an end", [entry("a"), vec![0; BLOCK]].concat());
        check("more after the end", [entry("a"), end.clone(), vec![0; BLOCK]].concat());
        check("a padding that is none", [good[..BLOCK + 4].to_vec(), vec![1; 508], end].concat());
        assert!(pack(vec![("../x".to_owned(), Vec::new())]).is_err());
    }
}
