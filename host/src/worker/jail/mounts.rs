//! What is mounted on the machine (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where.
    pub(super) point: PathBuf,
    /// The type of its file system.
    pub(super) kind: String,
}

/// The mount that a directory lies on, then those that lie below the directory.
///
/// # Errors
/// procfs cannot be read.
pub(super) fn seen_at(directory: &Path) -> io::Result<Vec<Mount>> {
    Ok(choose(&fs::read("/proc/self/mountinfo")?, directory))
}

fn choose(table: &[u8], directory: &Path) -> Vec<Mount> {
    let all: Vec<Mount> = table.split(|&byte| byte == b'\n').filter_map(parse).collect();
    // Of several at the same place the last is what is seen.
    let under = all.iter().filter(|mount| directory.starts_with(&mount.point));
    let own = under.max_by_key(|mount| mount.point.components().count()).cloned();
    let below = all.into_iter().filter(|mount| mount.point != directory && mount.point.starts_with(directory));
    own.into_iter().chain(below).collect()
}

/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE OPTIONS`.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|&byte| byte == b' ');
    let point = PathBuf::from(OsString::from_vec(unescape(words.nth(4)?)));
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    Some(Mount { point, kind: String::from_utf8_lossy(kind).into_owned() })
}

/// Blanks and backslashes stand as `\NNN`, in octal digits.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 8:1 / / rw shared:1 - ext4 /dev/vda rw
30 22 0:5 / /srv rw,nosuid shared:2 master:1 - xfs /dev/vdb rw
31 30 0:6 / /srv/a\\040b/data rw - tmpfs none rw
32 30 0:7 / /srv/ab rw - proc proc rw
33 22 0:8 / /srv rw - nfs4 server:/ rw
";

    #[test]
    fn what_lies_under_and_below_a_directory_is_found() {
        let check = |directory: &str, expected: &[(&str, &str)]| {
            let found = choose(TABLE, Path::new(directory));
            let found: Vec<_> = found.iter().map(|mount| (mount.point.to_str().unwrap(), &*mount.kind)).collect();
            assert_eq!(found, expected, "{directory}");
        };
        check("/home", &[("/", "ext4")]);
        check("/srv", &[("/srv", "nfs4"), ("/srv/a b/data", "tmpfs"), ("/srv/ab", "proc")]);
        check("/srv/a b", &[("/srv", "nfs4"), ("/srv/a b/data", "tmpfs")]);
        check("/srv/a b/data/x", &[("/srv/a b/data", "tmpfs")]);
        check("/srv/a", &[("/srv", "nfs4")]);
    }
}
