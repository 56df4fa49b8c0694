//! One signature, one text.

use super::*;
use crate::code::{Code, Coded as _};

// A107, A113: every other size, spelling and algorithm is refused.
#[test]
fn a_block_has_one_spelling() {
    let signature = Signature { key: [0xab; 32], bytes: [0xcd; 64] };
    let text = signature.render();
    assert_eq!(text.len(), SIGNATURE_LEN);
    assert_eq!(Signature::parse(text.as_bytes()).unwrap(), signature);
    let refused = |other: &[u8], code: Code| {
        assert_eq!(Signature::parse(other).unwrap_err().code(), code, "{}", other.escape_ascii());
    };
    let check = |other: &[u8]| refused(other, Code::SignatureMalformed);
    check(b"");
    check(&vec![b'a'; 1 << 20]);
    check(format!("{text}{text}").as_bytes());
    check(format!("{text}\n").as_bytes());
    check(&text.as_bytes()[..SIGNATURE_LEN - 1]);
    check(text.replace("cdcd", "CDCD").as_bytes());
    check(text.replace("abab", "ABAB").as_bytes());
    check(text.replace('\n', "\r\n").as_bytes());
    check(text.replace("cdcd", "!!!!").as_bytes());
    check(text.replace("signature 1", "signature 2").as_bytes());
    check(&[&text.as_bytes()[..SIGNATURE_LEN - 1], b" "].concat());
    for algorithm in ["none", "hmac", "rsa", "ed25519ph", "unknown"] {
        check(text.replace("ed25519-public", algorithm).as_bytes());
        refused(text.replace("ed25519-public", &format!("{algorithm:-<14}")).as_bytes(), Code::Algorithm);
    }
    refused(&[text.as_bytes()[..30].as_ref(), "é".as_bytes(), &text.as_bytes()[32..]].concat(), Code::Algorithm);
}
