//! The structures of an ELF library, which are read without loading it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migraine_host::package::{MANIFEST_MAX, elf, target};

fuzz_target!(|library: &[u8]| {
    if let Ok(facts) = elf::inspect(library) {
        assert!(facts.manifest.len() <= MANIFEST_MAX);
        assert!(facts.needed.iter().all(|name| target::OWN.provides(name)));
    }
    let _ = elf::inspect_program(library);
    let _ = elf::interpreter(library);
});
