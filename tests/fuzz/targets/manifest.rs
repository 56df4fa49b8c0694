//! Manifests in both spellings. The first byte says which: what is accepted passes every check again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migraine_host::package::manifest::{parse, parse_yaml, validate};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else { return };
    // A manifest in JSON begins with a brace; any other byte stands before one in YAML.
    let read = if *first == b'{' { parse(bytes) } else { parse_yaml(text) };
    match read {
        Ok(manifest) => validate(&manifest).expect("what was read is valid"),
        Err(error) => assert!(error.to_string().len() < 1 << 20, "an error is for people"),
    }
});
