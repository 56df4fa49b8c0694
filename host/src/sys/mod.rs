//! Thin wrappers named after their man pages: what neither std nor nix offers as a safe call. The only `unsafe` of the
//! framework is here.
#![expect(unsafe_code, reason = "the kernel's interface; every block states its contract")]

pub(crate) mod clock;
pub(crate) mod dl;
pub(crate) mod fd;
pub(crate) mod landlock;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod netdevice;
pub(crate) mod privileges;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod ulimit;

/// The value of a libc call, or `errno`.
fn checked(value: libc::c_long) -> std::io::Result<libc::c_long> {
    if value < 0 { Err(std::io::Error::last_os_error()) } else { Ok(value) }
}

/// As [`checked`] for calls whose success says nothing more.
fn done(value: libc::c_long) -> std::io::Result<()> {
    checked(value).map(drop)
}
