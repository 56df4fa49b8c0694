//! Files of secret keys: one form of each kind, and that stock tools agree.

use std::fs;
use std::process::Command;

use super::*;
use crate::code::{Code, Coded as _};
use crate::trust::fixture::secret;

fn open(text: &str, passphrase: Option<&str>) -> Result<SecretKey, Code> {
    let file = SecretFile::parse(text.as_bytes()).map_err(|error| error.code())?;
    file.open(passphrase.map(str::as_bytes)).map_err(|error| error.code())
}

fn same(found: Result<SecretKey, Code>) {
    assert_eq!(found.unwrap().fingerprint(), secret(7).fingerprint());
}

fn encrypted() -> Zeroizing<String> {
    secret(7).render_encrypted(b"correct horse", &[5; ENCRYPTION_RANDOM]).unwrap()
}

#[test]
fn a_key_comes_back() {
    let plain = secret(7).render_plain().unwrap();
    same(open(&plain, None));
    same(open(&plain, Some("not needed")));
    let encrypted = encrypted();
    assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    same(open(&encrypted, Some("correct horse")));
    assert_eq!(open(&encrypted, Some("correct house")).unwrap_err(), Code::PassphraseWrong);
    assert_eq!(open(&encrypted, Some("")).unwrap_err(), Code::PassphraseWrong);
    assert_eq!(open(&encrypted, None).unwrap_err(), Code::PassphraseMissing);
    let other = secret(7).render_encrypted(b"correct horse", &[6; ENCRYPTION_RANDOM]).unwrap();
    assert_ne!(*encrypted, *other);
}

#[test]
fn nothing_else_is_a_secret_key() {
    let plain = secret(7).render_plain().unwrap();
    let public = secret(7).public().render_pem().unwrap();
    let text = plain.replace("PRIVATE", "ENCRYPTED PRIVATE");
    for bad in [
        "",
        "x",
        &public,
        &text,
        &plain[..plain.len() - 30],
        &plain[1..],
        &plain.replace("MC4", "MC5"),
        &plain.repeat(2),
    ] {
        assert_eq!(open(bad, None).unwrap_err(), Code::ValueInvalid, "{bad}");
    }
    // Of every byte of an encrypted file, the container counts, and a passphrase that does not fit is the worst.
    let encrypted = encrypted();
    let middle = encrypted.find('\n').unwrap() + 1;
    for at in (middle..encrypted.len() - 36).step_by(61) {
        let mut bytes = encrypted.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        match open(&String::from_utf8(bytes).unwrap(), Some("correct horse")) {
            Ok(found) => assert_ne!(found.fingerprint(), secret(7).fingerprint(), "{at}"),
            Err(code) => assert!(matches!(code, Code::ValueInvalid | Code::PassphraseWrong), "{at}: {code}"),
        }
    }
}

#[test]
fn a_file_that_would_take_too_much_is_refused() {
    let costly = |cost_parameter, block_size, parallelization| {
        let salt = Salt::new([1; 16]).unwrap();
        let kdf = Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None });
        let parameters = Parameters { kdf, encryption: Cipher::Aes256Cbc { iv: [1; 16] } };
        let encryption_algorithm = EncryptionScheme::from(parameters);
        let encrypted_data = der::asn1::OctetString::new([0; 64]).unwrap();
        let info = EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data };
        let document = SecretDocument::encode_msg(&info).unwrap();
        SecretFile::parse(document.to_pem(ENCRYPTED_LABEL, LineEnding::LF).unwrap().as_bytes())
    };
    assert!(costly(1 << 14, 8, 5).is_ok());
    for (n, r, p) in [(1 << 30, 8, 1), (1 << 14, 60_000, 1), (1 << 14, 8, 60_000), (u64::MAX, 8, 1)] {
        assert_eq!(costly(n, r, p).err().unwrap().code(), Code::ValueInvalid, "{n} {r} {p}");
    }
}

#[test]
fn openssl_reads_what_is_written_here_and_writes_what_is_read_here() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |args: &str| {
        let done = Command::new("openssl").args(args.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    write("plain.pem", &secret(7).render_plain().unwrap());
    write("locked.pem", &encrypted());
    let pass = "pass:correct horse".to_owned();
    for (file, key) in [("plain.pem", "public-of-plain"), ("locked.pem", "public-of-locked")] {
        let mut command = Command::new("openssl");
        command.args(["pkey", "-in", file, "-pubout", "-out", key, "-passin", &pass]).current_dir(folder.path());
        assert!(command.output().unwrap().status.success(), "{file}");
        assert_eq!(read(key), secret(7).public().render_pem().unwrap());
    }
    openssl("genpkey -algorithm ed25519 -out made.pem");
    openssl("pkcs8 -topk8 -in made.pem -out pbkdf2.pem -v2 aes-256-cbc -passout pass:x");
    openssl("pkcs8 -topk8 -in made.pem -out scrypt.pem -scrypt -passout pass:x");
    let made = open(&read("made.pem"), None).unwrap().fingerprint();
    for file in ["pbkdf2.pem", "scrypt.pem"] {
        assert_eq!(open(&read(file), Some("x")).unwrap().fingerprint(), made, "{file}");
        assert_eq!(open(&read(file), Some("y")).unwrap_err(), Code::PassphraseWrong, "{file}");
    }
    openssl("genpkey -algorithm x25519 -out other.pem");
    assert_eq!(open(&read("other.pem"), None).unwrap_err(), Code::ValueInvalid);
}
