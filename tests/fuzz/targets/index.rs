//! The text that is signed: whatever is accepted has one spelling, and its caps hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migraine_host::package::{FILES_MAX, INDEX_MAX, Index, UNPACKED_MAX};

fuzz_target!(|text: &[u8]| {
    let Ok(index) = Index::parse(text) else { return };
    assert_eq!(index.render().as_bytes(), text);
    assert!(text.len() <= INDEX_MAX && index.files.len() <= FILES_MAX);
    assert!(index.files.iter().map(|file| file.size).sum::<u64>() <= UNPACKED_MAX);
    for file in &index.files {
        assert!(!file.path.starts_with('/') && file.path.split('/').all(|part| !part.is_empty() && part != ".."));
    }
});
