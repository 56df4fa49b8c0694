//! Why an entry is not the expected one: in the words, and with the code, of what was tried.

use std::collections::BTreeSet;

use super::{BLOCK, INDEX_NAME, PackageError, SIGNATURE_NAME};
use crate::package::path;

/// Where a ustar header holds the type of its entry.
const TYPE_AT: usize = 156;

/// Refuses every type but the plain file (and the zeros that end an archive).
pub(super) fn check_type(found: &[u8; BLOCK]) -> Result<(), PackageError> {
    if found[TYPE_AT] == b'0' || found.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(PackageError::EntryType { entry: name_of(found), kind: kind_of(found[TYPE_AT]) })
}

/// What to say of a header that is not the canonical one of the entry `expected`; `seen` are the entries before it, in
/// lower case.
pub(super) fn of_header(found: &[u8; BLOCK], expected: &str, seen: &BTreeSet<String>) -> PackageError {
    let entry = |reason| PackageError::Entry { entry: expected.to_owned(), reason };
    if found.iter().all(|byte| *byte == 0) {
        return entry("the archive ends before it");
    }
    if let Err(error) = check_type(found) {
        return error;
    }
    let name = name_of(found);
    if name == expected {
        return entry("its header is not the one canonical header");
    }
    if seen.contains(&name.to_ascii_lowercase()) {
        return PackageError::Duplicate { path: name, reason: "an entry before it has this name, case being ignored" };
    }
    match path::check(&name) {
        Err(error) if name != INDEX_NAME && name != SIGNATURE_NAME => error,
        _ => entry("another entry stands in its place, or there is one more than the index lists"),
    }
}

/// The whole name: what unpacking tools would put together of both fields. Not safe to show.
fn name_of(header: &[u8; BLOCK]) -> String {
    String::from_utf8_lossy(&tar::Header::from_byte_slice(header).path_bytes()).into_owned()
}

fn kind_of(kind: u8) -> String {
    let known = match kind {
        b'\0' | b'7' => "a file of another kind",
        b'1' => "a hard link",
        b'2' => "a symbolic link",
        b'3' => "a character device",
        b'4' => "a block device",
        b'5' => "a directory",
        b'6' => "a FIFO",
        b'S' => "a sparse file",
        b'V' => "the label of a volume",
        b'x' | b'g' | b'K' | b'L' => "an extension that would change other entries",
        _ => return format!("of the unknown type {kind:#04x}"),
    };
    known.to_owned()
}
