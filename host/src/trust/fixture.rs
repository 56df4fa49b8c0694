//! Keys for tests.

use super::SecretKey;

/// A key that is the same in every test.
pub(crate) fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}
