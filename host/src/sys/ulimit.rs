//! The limits that this program was started under (getrlimit(2)), in the words of a shell's `ulimit`: which is too low, and
//! which may be behind an error of the system.

use std::error::Error;
use std::io;
use std::time::Duration;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// One kind of limit.
#[derive(Debug, Clone, Copy)]
struct Kind {
    resource: Resource,
    /// What there is so much of.
    of: &'static str,
    /// The option of `ulimit`.
    option: char,
    /// The setting of a systemd service.
    setting: &'static str,
    unit: Unit,
    /// The error of whoever uses it up, where there is one (errno(3)).
    errors: &'static [i32],
    /// What this program itself cannot do without.
    least: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Number,
    Seconds,
}

/// Each limit that can keep this program from its work. The launcher holds its own descriptors at numbers from 64 on; a
/// thread of the host reserves 2 MiB, and an interpreter needs about 7 MiB before its first line.
const KINDS: [Kind; 7] = [
    Kind {
        resource: Resource::RLIMIT_STACK,
        of: " of stack",
        option: 's',
        setting: "LimitSTACK",
        unit: Unit::Bytes,
        errors: &[],
        least: Some(1 << 20),
    },
    Kind {
        resource: Resource::RLIMIT_NOFILE,
        of: " open files",
        option: 'n',
        setting: "LimitNOFILE",
        unit: Unit::Number,
        errors: &[libc::EMFILE],
        least: Some(128),
    },
    Kind {
        resource: Resource::RLIMIT_AS,
        of: " of address space",
        option: 'v',
        setting: "LimitAS",
        unit: Unit::Bytes,
        errors: &[libc::ENOMEM, libc::EAGAIN],
        least: Some(64 << 20),
    },
    Kind {
        resource: Resource::RLIMIT_DATA,
        of: " of data",
        option: 'd',
        setting: "LimitDATA",
        unit: Unit::Bytes,
        errors: &[libc::ENOMEM, libc::EAGAIN],
        least: Some(16 << 20),
    },
    Kind {
        resource: Resource::RLIMIT_NPROC,
        of: " processes and threads of this user",
        option: 'u',
        setting: "LimitNPROC",
        unit: Unit::Number,
        errors: &[libc::EAGAIN],
        least: None,
    },
    Kind {
        resource: Resource::RLIMIT_FSIZE,
        of: " for a file",
        option: 'f',
        setting: "LimitFSIZE",
        unit: Unit::Bytes,
        errors: &[libc::EFBIG],
        least: None,
    },
    Kind {
        resource: Resource::RLIMIT_CPU,
        of: " of CPU time",
        option: 't',
        setting: "LimitCPU",
        unit: Unit::Seconds,
        errors: &[],
        least: None,
    },
];

/// A limit that is too low to begin with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it was started with a limit of {held}, and needs at least {least}")]
pub struct LowLimit {
    held: String,
    least: String,
    /// What to do about it.
    pub cure: String,
}

impl Kind {
    /// What is held of it, and up to where whoever started this program can raise that; none without a limit.
    fn held(self) -> Option<(u64, u64)> {
        getrlimit(self.resource).ok().filter(|(soft, _)| *soft != RLIM_INFINITY)
    }

    fn figure(self, value: u64) -> String {
        match self.unit {
            Unit::Number => value.to_string(),
            Unit::Seconds => format!("{value} s"),
            Unit::Bytes if value >= 1 << 20 && value.is_multiple_of(1 << 20) => format!("{} MiB", value >> 20),
            Unit::Bytes if value >= 1 << 10 && value.is_multiple_of(1 << 10) => format!("{} KiB", value >> 10),
            Unit::Bytes => format!("{value} bytes"),
        }
    }

    fn words(self, value: u64) -> String {
        format!("{}{}", self.figure(value), self.of)
    }

    fn cure(self, hard: u64) -> String {
        // Where there is no unlimited number, or nobody wants one.
        let value = match self.option {
            'n' => "1024",
            's' => "8192",
            _ => "unlimited",
        };
        let Self { option, setting, .. } = self;
        let first = if option == 'u' { "end some, or " } else { "" };
        let raise = format!("{first}raise it with `ulimit -{option} {value}` before");
        match hard != RLIM_INFINITY && self.least.is_none_or(|least| hard < least) {
            true => format!(
                "{raise}; its hard limit is {}, which root raises, or whoever set it: limits.conf(5), {setting}= of a \
                 service, --ulimit of a container",
                self.figure(hard)
            ),
            false => raise,
        }
    }
}

/// The first limit that is lower than this program needs.
pub(crate) fn too_low() -> Option<LowLimit> {
    KINDS.into_iter().find_map(low)
}

/// The same of the stack alone, without which not even the arguments are read.
pub(crate) fn too_low_to_begin() -> Option<LowLimit> {
    KINDS.into_iter().take(1).find_map(low)
}

fn low(kind: Kind) -> Option<LowLimit> {
    let least = kind.least?;
    let (soft, hard) = kind.held().filter(|(soft, _)| *soft < least)?;
    Some(LowLimit { held: kind.words(soft), least: kind.figure(least), cure: kind.cure(hard) })
}

/// The limits that may be behind an error of the system, with what to do; none where nothing is limited.
pub(crate) fn behind(errno: i32) -> Option<String> {
    said(|kind| kind.errors.contains(&errno))
}

/// The same of the cause of an error.
pub(crate) fn behind_error(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(number) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return behind(number);
        }
        next = error.source();
    }
    None
}

/// The limit that may be behind the sudden end of a process of this program's.
pub(crate) fn behind_end() -> Option<String> {
    said(|kind| kind.unit == Unit::Seconds)
}

fn said(concerns: impl Fn(&Kind) -> bool) -> Option<String> {
    let line = |kind: Kind| {
        let (soft, hard) = kind.held()?;
        Some(format!("it was started with a limit of {}: {}", kind.words(soft), kind.cure(hard)))
    };
    let lines: Vec<String> = KINDS.into_iter().filter(concerns).filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// How much CPU time each process may use, if that is limited.
pub(crate) fn cpu() -> Option<Duration> {
    Some(hard(Resource::RLIMIT_CPU)).filter(|limit| *limit != RLIM_INFINITY).map(Duration::from_secs)
}

/// The hard limit of a resource; [`u64::MAX`] without one.
pub(crate) fn hard(resource: Resource) -> u64 {
    getrlimit(resource).map_or(u64::MAX, |(_, hard)| hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(option: char) -> Kind {
        KINDS.into_iter().find(|kind| kind.option == option).unwrap()
    }

    #[test]
    fn a_limit_is_told_as_a_shell_has_it() {
        assert_eq!(kind('n').words(12), "12 open files");
        assert_eq!(kind('s').words(64 << 10), "64 KiB of stack");
        assert_eq!(kind('f').words(1000), "1000 bytes for a file");
        assert_eq!(kind('v').words(64 << 20), "64 MiB of address space");
        assert_eq!(kind('t').words(1), "1 s of CPU time");
    }

    #[test]
    fn a_hard_limit_that_is_too_low_is_told() {
        assert_eq!(kind('n').cure(4096), "raise it with `ulimit -n 1024` before");
        assert!(kind('n').cure(12).contains("its hard limit is 12,"));
        assert!(kind('f').cure(1000).contains("LimitFSIZE="));
        assert_eq!(kind('f').cure(RLIM_INFINITY), "raise it with `ulimit -f unlimited` before");
    }

    #[test]
    fn the_stack_comes_first() {
        assert_eq!(KINDS[0].option, 's');
        assert_eq!(too_low(), None, "the tests themselves run under enough");
    }

    #[test]
    fn the_cause_of_an_error_is_looked_for() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let found = behind_error(&Outer(io::Error::from_raw_os_error(libc::EMFILE))).unwrap();
        assert!(found.contains(&format!("{soft} open files")), "{found}");
        assert_eq!(behind_error(&Outer(io::Error::from_raw_os_error(libc::EPERM))), None);
        assert_eq!(behind_error(&Outer(io::Error::other("no number"))), None);
    }
}
