//! Files of secret keys, as stock tools write and read them: PKCS#8 in PEM, either plain or encrypted by a passphrase
//! (PBES2 of RFC 8018).

use pkcs8::der::pem::LineEnding;
use pkcs8::der::{self, SecretDocument};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{EncryptionScheme as Cipher, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfoOwned, EncryptedPrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{SecretKey, TrustError};

/// What stands before the 32 bytes of a secret key in its DER form (RFC 8410, version 1 of the form).
const SECRET_DER: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PLAIN_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Cost of scrypt (RFC 7914) for files that are written here: 16 MiB, since openssl opens nothing that takes 32 MiB, and
/// what OWASP's Password Storage Cheat Sheet adds in time for so little memory.
const SCRYPT: (u64, u16, u16) = (1 << 14, 8, 5);
/// The most memory that opening a file may take, in bytes, and the most times over that it may be filled.
const SCRYPT_MEMORY_MAX: u64 = 256 << 20;
const SCRYPT_PARALLEL_MAX: u16 = 64;
/// The most rounds of PBKDF2 that opening a file may take: seconds.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// How many random bytes an encryption takes: a salt and an initialization vector.
pub const ENCRYPTION_RANDOM: usize = 32;

/// A secret key as a file holds it.
pub struct SecretFile(Content);

enum Content {
    Plain(SecretKey),
    Encrypted(EncryptedPrivateKeyInfoOwned),
}

impl SecretFile {
    /// Reads the content of a file.
    ///
    /// # Errors
    /// It is no PKCS#8 file of an Ed25519 key, or opening it would take too much; the message shows nothing of the content.
    pub fn parse(text: &[u8]) -> Result<Self, TrustError> {
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not text"))?;
        let document = SecretDocument::from_pem(text);
        let (label, document) = document.map_err(|_| malformed("it is not one PEM block"))?;
        match label {
            PLAIN_LABEL => from_der(document.as_bytes()).map(|key| Self(Content::Plain(key))),
            ENCRYPTED_LABEL => {
                let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
                let info = info.map_err(|_| malformed("its encryption is not known: only PBES2 of PKCS#5 is"))?;
                check_cost(&info.encryption_algorithm)?;
                let encrypted_data = der::asn1::OctetString::from(info.encrypted_data);
                let encryption_algorithm = info.encryption_algorithm;
                Ok(Self(Content::Encrypted(EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data })))
            }
            "PUBLIC KEY" => Err(malformed("it holds a public key")),
            _ => Err(malformed("it holds something else")),
        }
    }

    /// Whether it takes a passphrase to open.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, Content::Encrypted(_))
    }

    /// The key; the passphrase is for an encrypted file.
    ///
    /// # Errors
    /// The passphrase is missing or wrong.
    pub fn open(self, passphrase: Option<&[u8]>) -> Result<SecretKey, TrustError> {
        match (self.0, passphrase) {
            (Content::Plain(key), _) => Ok(key),
            (Content::Encrypted(_), None) => Err(TrustError::PassphraseMissing { object: "the secret key".to_owned() }),
            (Content::Encrypted(info), Some(passphrase)) => {
                // The cipher has no checksum: what a wrong passphrase gives is no key in DER, but for one in 2^128.
                let document = info.decrypt(passphrase).map_err(|_| wrong())?;
                from_der(document.as_bytes()).map_err(|_| wrong())
            }
        }
    }
}

impl SecretKey {
    /// The content of a file that is not encrypted.
    ///
    /// # Errors
    /// None that can happen: the form has a fixed size.
    pub fn render_plain(&self) -> Result<Zeroizing<String>, TrustError> {
        self.document().and_then(|document| document.to_pem(PLAIN_LABEL, LineEnding::LF)).map_err(failed)
    }

    /// The content of an encrypted file; `random` are bytes from the operating system, used once.
    ///
    /// # Errors
    /// None that can happen: the parameters are fixed.
    pub fn render_encrypted(
        &self,
        passphrase: &[u8],
        random: &[u8; ENCRYPTION_RANDOM],
    ) -> Result<Zeroizing<String>, TrustError> {
        let (salt, iv) = random.split_at(ENCRYPTION_RANDOM / 2);
        let (cost_parameter, block_size, parallelization) = SCRYPT;
        let salt = Salt::new(salt).map_err(failed)?;
        let kdf = Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None });
        let iv = iv.try_into().map_err(failed)?;
        let parameters = Parameters { kdf, encryption: Cipher::Aes256Cbc { iv } };
        let document = self.document().map_err(failed)?;
        let encrypted = parameters.encrypt(passphrase, document.as_bytes()).map_err(failed)?;
        let encrypted_data = der::asn1::OctetString::new(encrypted).map_err(failed)?;
        let encryption_algorithm = EncryptionScheme::from(parameters);
        let info = EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data };
        let document = SecretDocument::encode_msg(&info).map_err(failed)?;
        document.to_pem(ENCRYPTED_LABEL, LineEnding::LF).map_err(failed)
    }

    fn document(&self) -> Result<SecretDocument, der::Error> {
        let der = Zeroizing::new([&SECRET_DER[..], self.seed()].concat());
        SecretDocument::try_from(der.as_slice())
    }
}

fn from_der(der: &[u8]) -> Result<SecretKey, TrustError> {
    let seed = der.strip_prefix(&SECRET_DER).and_then(|seed| <&[u8; 32]>::try_from(seed).ok());
    seed.map(SecretKey::from_seed).ok_or_else(|| malformed("it is no Ed25519 key of the one accepted form"))
}

/// A file from elsewhere must not take all memory, or all day, to open.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), TrustError> {
    let parameters =
        scheme.pbes2().ok_or_else(|| malformed("its encryption is too old: only PBES2 of PKCS#5 is known"))?;
    let fits = match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let memory = scrypt.cost_parameter.checked_mul(128 * u64::from(scrypt.block_size));
            memory.is_some_and(|memory| memory <= SCRYPT_MEMORY_MAX) && scrypt.parallelization <= SCRYPT_PARALLEL_MAX
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= PBKDF2_ROUNDS_MAX,
        _ => false,
    };
    if fits { Ok(()) } else { Err(malformed("opening it would take too much memory or time")) }
}

fn malformed(reason: &str) -> TrustError {
    TrustError::Malformed { object: "the file".to_owned(), what: "secret key", reason: reason.to_owned() }
}

fn wrong() -> TrustError {
    TrustError::PassphraseWrong { object: "the secret key".to_owned() }
}

fn failed(error: impl std::fmt::Display) -> TrustError {
    malformed(&error.to_string())
}

#[cfg(test)]
mod tests;
