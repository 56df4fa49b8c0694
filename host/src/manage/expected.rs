//! What the user says in advance about the plugin that is to be installed.

use super::ManageError;
use super::origin::Place;
use crate::ids::{Digest, PluginName};
use crate::text::safe_line;

/// What must be so, or nothing is installed. Nothing is expected by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// The SHA-256 digest of the file, or that of the index in it.
    pub digest: Option<Digest>,
    /// Its name.
    pub name: Option<PluginName>,
    /// A name that is meant although it looks like another one.
    pub meant: Option<PluginName>,
}

/// A digest as it is typed: `sha256:` and 64 small hexadecimal digits, and nothing else.
///
/// # Errors
/// It has another form, or is of another kind.
pub fn expected_digest(text: &str) -> Result<Digest, ManageError> {
    let digest = text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    digest.ok_or_else(|| ManageError::DigestFormat { text: safe_line(&text.chars().take(80).collect::<String>()) })
}

impl Expected {
    /// Checks what was found, before anything else of it is believed.
    ///
    /// # Errors
    /// The digest or the name is another one.
    pub(super) fn check(&self, place: &Place) -> Result<(), ManageError> {
        let Place { path, asked, opened } = place;
        let (file, index) = (opened.file_digest(), opened.digest());
        if let Some(expected) = self.digest.filter(|expected| *expected != index && file != Some(*expected)) {
            return Err(ManageError::DigestMismatch { place: path.clone(), expected, file, index });
        }
        let found = &opened.index.name;
        for asked in [asked, &self.name].into_iter().flatten() {
            if asked != found {
                let (asked, found, place) = (asked.clone(), found.clone(), path.clone());
                return Err(ManageError::NameMismatch { asked, found, place });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Code, Coded as _};

    // covers: A165
    #[test]
    fn a_digest_has_one_spelling() {
        let hex = Digest::of(b"").to_string();
        assert_eq!(expected_digest(&format!("sha256:{hex}")).unwrap(), Digest::of(b""));
        let upper = hex.to_uppercase();
        for bad in [
            &hex,
            &format!("md5:{}", &hex[..32]),
            &format!("sha512:{hex}{hex}"),
            &format!("sha256:{upper}"),
            &format!("SHA256:{hex}"),
            &format!("sha256:{}", &hex[1..]),
            &format!("sha256:{hex}0"),
            &format!(" sha256:{hex}"),
            &format!("sha256:{hex}\n"),
            "sha256:../../x",
            "sha256:",
            "",
        ] {
            assert_eq!(expected_digest(bad).unwrap_err().code(), Code::DigestFormat, "{bad:?}");
        }
    }
}
