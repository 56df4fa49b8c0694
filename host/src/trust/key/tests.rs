//! Keys: weak ones, bent signatures, and that stock tools agree.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::code::{Code, Coded as _};
use crate::ids::from_hex;

fn secret() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

// A111: the eight points of small order, and every encoding that is not the canonical one of its point.
#[test]
fn weak_keys_are_refused() {
    let check = |bytes: &[u8; 32]| {
        let error = PublicKey::from_bytes(bytes).expect_err(&to_hex(bytes));
        assert_eq!(error.code(), Code::WeakKey, "{error}");
        assert!(format!("{PUBLIC_PREFIX}{}", to_hex(bytes)).parse::<PublicKey>().is_err());
    };
    let with_sign = |mut bytes: [u8; 32]| {
        bytes[31] ^= 0x80;
        bytes
    };
    let small_orders = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    for hex in small_orders {
        let bytes = from_hex(hex).unwrap();
        check(&bytes);
        check(&with_sign(bytes));
    }
    // y = p + k for every k that still fits 255 bits: p ends in 0xed, little endian.
    for k in 0..=18 {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed + k, 0x7f);
        check(&bytes);
        check(&with_sign(bytes));
    }
    assert!(PublicKey::from_bytes(secret().public().as_bytes()).is_ok());
}

// A108, A112: one message has one signature; whoever bends it gets nothing.
#[test]
fn only_the_one_signature_verifies() {
    let key = secret().public();
    let good = secret().sign(b"index");
    assert!(key.verify(b"index", &good));
    assert!(!key.verify(b"indeX", &good));
    assert!(!SecretKey::from_seed(&[8; 32]).public().verify(b"index", &good));
    for bit in 0..512 {
        let mut bad = good;
        bad.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.verify(b"index", &bad), "bit {bit}");
    }
    // L, the order of the base point (RFC 8032): S + L is the same number to a lax verifier.
    let order: [u8; 32] = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0_u16;
    let mut bent = good;
    for (byte, more) in bent.bytes[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(more);
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    assert!(!key.verify(b"index", &bent), "S + L");
    let mut bent = good;
    bent.bytes[32..].copy_from_slice(&order);
    assert!(!key.verify(b"index", &bent), "S = L");
    for first in [0x01, 0xee] {
        let mut bent = good;
        bent.bytes = [0; 64];
        bent.bytes[0] = first;
        if first == 0xee {
            bent.bytes[1..31].fill(0xff);
            bent.bytes[31] = 0x7f;
        }
        assert!(!key.verify(b"index", &bent), "R = identity, spelled with {first:#x}");
    }
    assert!(!key.verify(b"index", &Signature { key: *SecretKey::from_seed(&[8; 32]).public().as_bytes(), ..good }));
}

#[test]
fn keys_have_one_text() {
    let public = secret().public();
    assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
    assert_eq!(PublicKey::parse_file(public.render_file().as_bytes()).unwrap(), public);
    assert_eq!(public.fingerprint(), secret().sign(b"").fingerprint());
    let pem = public.render_pem().unwrap();
    assert_eq!(PublicKey::parse_file(pem.as_bytes()).unwrap(), public);
    for bad in [pem.replace("PUBLIC", "PRIVATE"), pem.replace("MC", "MD"), pem[..pem.len() - 10].to_owned()] {
        assert_eq!(PublicKey::parse_file(bad.as_bytes()).unwrap_err().code(), Code::ValueInvalid, "{bad}");
    }
    assert!(!format!("{:?}", secret()).contains("0707"));
    let hex = to_hex(public.as_bytes());
    for bad in [
        &hex,
        &format!("ed25519:{hex}"),
        &format!("{public} "),
        &public.to_string().to_uppercase(),
        &format!("{public}00"),
    ] {
        assert_eq!(bad.parse::<PublicKey>().unwrap_err().code(), Code::ValueInvalid, "{bad}");
    }
    for bad in [public.to_string(), format!("{public}\n\n"), format!("\n{public}\n")] {
        assert!(PublicKey::parse_file(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

fn openssl(directory: &Path, args: &str) -> bool {
    let done = Command::new("openssl").args(args.split(' ')).current_dir(directory).output().unwrap();
    done.status.success()
}

#[test]
fn a_signature_is_of_one_kind() {
    let key = secret().public();
    for kind in [Signed::Index, Signed::Rotation, Signed::Revocations] {
        let signature = secret().sign_as(kind, b"text");
        for other in [Signed::Index, Signed::Rotation, Signed::Revocations] {
            assert_eq!(key.verify_as(other, b"text", &signature), kind == other, "{kind:?} {other:?}");
        }
    }
}

#[test]
fn openssl_verifies_what_is_signed_here() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let signature = secret().sign(b"migraine-index 1\n");
    fs::write(path.join("key.der"), [&PUBLIC_DER[..], &signature.key].concat()).unwrap();
    fs::write(path.join("message"), signed_message(b"migraine-index 1\n")).unwrap();
    fs::write(path.join("other"), signed_message(b"migraine-index 2\n")).unwrap();
    fs::write(path.join("signature"), signature.bytes).unwrap();
    let verify = "pkeyutl -verify -pubin -inkey key.der -keyform DER -rawin -sigfile signature -in";
    assert!(openssl(path, &format!("{verify} message")));
    assert!(!openssl(path, &format!("{verify} other")));
}

#[test]
fn what_openssl_signs_verifies_here() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("message"), signed_message(b"migraine-index 1\n")).unwrap();
    assert!(openssl(path, "genpkey -algorithm ed25519 -outform DER -out secret.der"));
    assert!(openssl(path, "pkey -in secret.der -inform DER -pubout -outform DER -out public.der"));
    assert!(openssl(path, "pkeyutl -sign -inkey secret.der -keyform DER -rawin -in message -out signature"));
    let public = fs::read(path.join("public.der")).unwrap();
    let key: [u8; 32] = public.strip_prefix(&PUBLIC_DER).unwrap().try_into().unwrap();
    let bytes = fs::read(path.join("signature")).unwrap().try_into().unwrap();
    let public = PublicKey::from_bytes(&key).unwrap();
    assert!(public.verify(b"migraine-index 1\n", &Signature { key, bytes }));
    assert!(!public.verify(b"migraine-index 2\n", &Signature { key, bytes }));
}
