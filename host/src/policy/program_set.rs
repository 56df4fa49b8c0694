//! Programs that are granted together, under one name.

/// Programs of GNU coreutils that work on text and files and start no other program: not `chroot`, `env`, `nice`, `nohup`,
/// `stdbuf` and `timeout`, nor those that change owners and modes or make devices.
const COREUTILS: &[&str] = &[
    "base64",
    "basename",
    "cat",
    "cksum",
    "comm",
    "cp",
    "csplit",
    "cut",
    "date",
    "df",
    "dirname",
    "du",
    "echo",
    "expand",
    "expr",
    "factor",
    "false",
    "fmt",
    "fold",
    "head",
    "id",
    "join",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mktemp",
    "mv",
    "nl",
    "nproc",
    "numfmt",
    "od",
    "paste",
    "pr",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "seq",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "shuf",
    "sleep",
    "sort",
    "split",
    "stat",
    "sum",
    "tac",
    "tail",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "truncate",
    "tsort",
    "uname",
    "unexpand",
    "uniq",
    "wc",
    "yes",
];

/// The programs that a scope of `exec` stands for, if it names a set.
#[must_use]
pub fn program_set(scope: &str) -> Option<&'static [&'static str]> {
    (scope == "coreutils").then_some(COREUTILS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_nothing_that_starts_other_programs() {
        let set = program_set("coreutils").unwrap();
        assert!(set.is_sorted() && set.len() < crate::wire::PROGRAMS_MAX / 2);
        for other in ["env", "nice", "nohup", "timeout", "stdbuf", "chroot", "install", "chmod", "chown", "mknod", "sh"]
        {
            assert!(!set.contains(&other), "{other}");
        }
        assert_eq!(program_set("cat"), None);
    }
}
