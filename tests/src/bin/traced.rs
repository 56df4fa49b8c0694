//! Becomes another program that its parent watches: asks to be traced (PTRACE_TRACEME of ptrace(2)), then executes it. The
//! kernel stops the new program before its first instruction.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

fn main() -> anyhow::Result<Infallible> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().context("traced PROGRAM [ARGS...]")?;
    nix::sys::ptrace::traceme().context("cannot be traced")?;
    Err(Command::new(&program).args(words).exec()).with_context(|| format!("cannot execute {program:?}"))
}
