//! The sidecar as a whole.

use super::*;
use crate::code::Coded as _;
use crate::package::{Index, fixture};

// A108: whatever is flipped is refused or changes what is judged.
#[test]
fn every_flipped_bit_is_refused_or_seen() {
    let assembled = fixture::assembled();
    let index_text = assembled.sidecar_index.render();
    let signature = fixture::signature();
    let text = assembled.sidecar(&signature).into_bytes();
    assert_eq!(parse(&text).unwrap(), (index_text.clone().into_bytes(), signature));
    for at in 0..text.len() * 8 {
        let mut flipped = text.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let Ok((other_text, other)) = parse(&flipped) else { continue };
        let seen =
            other != signature || Index::parse(&other_text).map_or(true, |other| other != assembled.sidecar_index);
        assert!(seen, "bit {at}");
    }
}

// A107: no signature in the file, half of one, two, and far too much.
#[test]
fn a_file_without_exactly_one_block_is_refused() {
    let assembled = fixture::assembled();
    let index_text = assembled.sidecar_index.render();
    let text = assembled.sidecar(&fixture::signature());
    for (bad, code) in [
        (String::new(), "signature_malformed"),
        (index_text.clone(), "signature_malformed"),
        (text[..text.len() - 1].to_owned(), "signature_malformed"),
        (text.clone() + "\n", "signature_malformed"),
        ("x".repeat(1 << 20), "limit_package"),
    ] {
        assert_eq!(parse(bad.as_bytes()).unwrap_err().code().as_str(), code, "{bad:.40}");
    }
    let twice = format!("{text}{}", &text[index_text.len()..]);
    let (rest, _) = parse(twice.as_bytes()).unwrap();
    assert_eq!(Index::parse(&rest).unwrap_err().code().as_str(), "package_invalid");
}
