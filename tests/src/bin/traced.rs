//! Becomes another program that its parent watches: asks to be traced (PTRACE_TRACEME of ptrace(2)), then executes it. The
//! kernel stops the new program before its first instruction, and then at each system call that is not known to be harmless
//! (SECCOMP_RET_TRACE of seccomp(2)): most are, and two stops for each of them would take longer than the program itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt as _;

use anyhow::Context as _;
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Calls that change nothing that could be on a disk, among those that programs make often.
const HARMLESS: &[i64] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_geteuid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_lstat,
    libc::SYS_madvise,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_poll,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_read,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_stat,
    libc::SYS_statx,
];

/// Flags with which an open(2) can change something; of `O_TMPFILE`, the bit that is its own.
const MAKES: i32 = libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);

fn main() -> anyhow::Result<Infallible> {
    let words = std::env::args_os().skip(1).map(|word| CString::new(word.into_vec())).collect::<Result<Vec<_>, _>>()?;
    let program = words.first().context("traced PROGRAM [ARGS...]")?;
    let filter = filter()?;
    nix::sys::ptrace::traceme().context("cannot be traced")?;
    // From here on, any other call fails (ENOSYS) until the tracer listens, which it does after the execve(2).
    seccompiler::apply_filter(&filter).context("cannot filter calls")?;
    nix::unistd::execv(program, &words).with_context(|| format!("cannot execute {}", program.to_string_lossy()))
}

fn filter() -> anyhow::Result<BpfProgram> {
    let opens = |flags: u8| -> anyhow::Result<_> {
        let reads =
            SeccompCondition::new(flags, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(u64::try_from(MAKES)?), 0)?;
        Ok(vec![SeccompRule::new(vec![reads])?])
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = HARMLESS.iter().map(|&number| (number, Vec::new())).collect();
    rules.insert(libc::SYS_open, opens(1)?);
    rules.insert(libc::SYS_openat, opens(2)?);
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Trace(0), SeccompAction::Allow, arch)?.try_into()?)
}
