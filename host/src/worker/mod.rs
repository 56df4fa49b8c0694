//! The worker's program: the launcher that makes workers, the jail they seal themselves in, the loader, the loop that
//! serves calls, and the keeper of programs that are run for a plugin. Runs in processes of its own; the host process only ever calls [`enter`].

mod absence;
mod jail;
mod launcher;
mod loader;
mod program;
pub(crate) mod script;
mod serve;

#[cfg(test)]
pub(crate) use jail::network::listen as listen_inside;

/// Becomes the launcher if this process was started as one; returns at once otherwise.
///
/// A program that embeds the host calls this first in its `main`, before it starts threads or reads its arguments.
pub fn enter() {
    if std::env::args_os().nth(1).is_some_and(|first| first == crate::wire::LAUNCHER_ARGUMENT) {
        launcher::main();
    }
}

/// Descriptor numbers of a worker, agreed between launcher and worker. 0 is `/dev/null`, or the input of a plugin's own
/// program; 1 and 2 are the plugin's own output.
mod numbers {
    use std::os::fd::RawFd;

    /// Frames from the host.
    pub(super) const REQUESTS: RawFd = 3;
    /// Frames to the host.
    pub(super) const REPLIES: RawFd = 4;
    /// The verified bytes, closed once they are loaded; or the standard input of a program.
    pub(super) const CODE: RawFd = 5;
    /// The launcher's ear while the worker seals itself; closed before the plugin is near.
    pub(super) const REPORT: RawFd = 6;
    /// Descriptors from the host, in a worker that receives some.
    pub(super) const PASSED: RawFd = 7;
    /// The launcher's control socket; what a worker is given is lifted above it before each gets its number.
    pub(super) const LAUNCHER: RawFd = 64;
}
