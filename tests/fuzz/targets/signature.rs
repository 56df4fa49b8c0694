//! The file beside a library, and the block at its end: one spelling each, and the block is never part of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migraine_host::package::{SIGNATURE_LEN, Signature, sidecar};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signature) = Signature::parse(bytes) {
        assert_eq!(signature.render().as_bytes(), bytes);
    }
    if let Ok((text, signature)) = sidecar::parse(bytes) {
        assert_eq!(text.len() + SIGNATURE_LEN, bytes.len());
        assert_eq!([&text[..], signature.render().as_bytes()].concat(), bytes);
    }
});
