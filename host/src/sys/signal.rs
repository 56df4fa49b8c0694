//! Signals that only set a flag (signal-safety(7)): the program looks at it between two steps.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Set once a signal that asks for the end has arrived.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The first such signal; 0 before.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// The first signal that was noted; none before.
pub(crate) fn first_noted() -> Option<i32> {
    Some(FIRST.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

extern "C" fn note(signal: libc::c_int) {
    let _ = FIRST.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Gives SIGCHLD its default action: one that is ignored stays so over exec(2), and then the kernel reaps children
/// before wait4(2) could say how they ended.
///
/// # Errors
/// As sigaction(2).
pub(crate) fn expect_children() -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of this program.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    Ok(())
}

/// Gives SIGPIPE its default action: this program ignores it, and what is ignored stays so over exec(2).
pub(crate) fn expect_broken_pipes() {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of this program.
    let _ = unsafe { sigaction(Signal::SIGPIPE, &action) };
}

extern "C" fn go_on(_: libc::c_int) {}

/// Makes a write beyond the limit of a file's size (setrlimit(2)) an error, which can be told, and not the end of the program.
/// Children start with the default action again, as after [`note_interrupts`].
pub(crate) fn survive_large_files() {
    let action = SigAction::new(SigHandler::Handler(go_on), SaFlags::SA_RESTART, SigSet::empty());
    if !is_ignored(Signal::SIGXFSZ) {
        // SAFETY: sigaction(2) wants a handler that is async-signal-safe; this one does nothing.
        let _ = unsafe { sigaction(Signal::SIGXFSZ, &action) };
    }
}

/// Whether a signal is ignored: nohup(1) and shells in the background start programs so, and what is ignored asks for no end.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    // SAFETY: sigaction is plain data, for which zeroes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action sigaction(2) only writes the present one through a valid pointer.
    let done = unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), &raw mut action) };
    done == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Those of the signals that ask for the end which are not ignored.
pub(crate) fn asking_to_end() -> impl Iterator<Item = Signal> {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().filter(|signal| !is_ignored(*signal))
}

/// While it lives, SIGINT, SIGTERM and SIGHUP set [`INTERRUPTED`], those that are ignored left out; then they do what they did before.
#[derive(Debug)]
pub(crate) struct Noting {
    before: Vec<(Signal, SigAction)>,
}

impl Noting {
    /// Begins.
    ///
    /// # Errors
    /// As sigaction(2).
    pub(crate) fn begin() -> io::Result<Self> {
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
        let mut noting = Self { before: Vec::new() };
        for signal in asking_to_end() {
            // SAFETY: sigaction(2) wants a handler that is async-signal-safe; this one stores to atomics and does nothing else.
            let before = unsafe { sigaction(signal, &action) }?;
            noting.before.push((signal, before));
        }
        Ok(noting)
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            // SAFETY: the action is the one that the program had set itself before.
            let _ = unsafe { sigaction(*signal, before) };
        }
    }
}

/// Makes SIGINT, SIGTERM and SIGHUP set [`INTERRUPTED`], those that are ignored left out. Children start with the default action again: a handler is not
/// inherited over exec(2), as an ignored signal would be.
///
/// # Errors
/// As sigaction(2).
pub(crate) fn note_interrupts() -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in asking_to_end() {
        // SAFETY: sigaction(2) wants a handler that is async-signal-safe; this one stores to atomics and does nothing else.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}
