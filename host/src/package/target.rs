//! The kinds of machines that a package can be for, and what a library for each may need.

use object::elf;

/// A kind of machine.
#[derive(Debug)]
pub struct Target {
    /// As a target triple.
    pub triple: &'static str,
    /// What stands in the header of its libraries (elf.h).
    pub(super) machine: elf::Machine,
    /// What its launcher preloads; a sandbox holds no other library.
    pub libraries: &'static [&'static str],
    /// What loads them, and is there before them.
    pub loader: &'static str,
}

/// Those of glibc and of GCC.
const GNU: &[&str] = &["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"];

impl Target {
    /// Whether a library may need another one of that name.
    #[must_use]
    pub fn provides(&self, library: &str) -> bool {
        library == self.loader || self.libraries.contains(&library)
    }
}

/// Every kind that is known. A package may be for others as well, whose libraries are compared with their digests alone.
pub static TARGETS: [Target; 4] = [
    Target {
        triple: "aarch64-unknown-linux-gnu",
        machine: elf::EM_AARCH64,
        libraries: GNU,
        loader: "ld-linux-aarch64.so.1",
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        machine: elf::EM_AARCH64,
        libraries: &["libc.so", "libc.musl-aarch64.so.1", "libgcc_s.so.1"],
        loader: "ld-musl-aarch64.so.1",
    },
    Target {
        triple: "x86_64-unknown-linux-gnu",
        machine: elf::EM_X86_64,
        libraries: GNU,
        loader: "ld-linux-x86-64.so.2",
    },
    Target {
        triple: "x86_64-unknown-linux-musl",
        machine: elf::EM_X86_64,
        libraries: &["libc.so", "libc.musl-x86_64.so.1", "libgcc_s.so.1"],
        loader: "ld-musl-x86_64.so.1",
    },
];

/// This machine.
pub static OWN: &Target = if cfg!(target_arch = "aarch64") { &TARGETS[0] } else { &TARGETS[2] };

/// The kind of that name, if it is known.
#[must_use]
pub fn known(triple: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.triple == triple)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::TARGET;

    #[test]
    fn this_machine_is_known() {
        assert_eq!(OWN.triple, TARGET);
        assert_eq!(known(TARGET).map(|target| target.machine), Some(OWN.machine));
        assert!(known("any").is_none());
        assert!(TARGETS.is_sorted_by_key(|target| target.triple));
    }
}
