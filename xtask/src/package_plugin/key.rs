//! The key that plugins are signed with while they are developed.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use migraine_host::cli::Failure;
use migraine_host::cli::passphrase::PassphraseArgs;
use migraine_host::trust::SecretKey;
use migraine_host::trust::keyring::{load_secret, save_secret};
use zeroize::Zeroizing;

const FILE_NAME: &str = "developer.key";

/// The key of a file, or the developer's own, which is made when it is missing; and a line that says which one.
///
/// # Errors
/// A named file is missing, or a key file is readable by others or not of the accepted form.
pub(super) fn load_or_make(named: Option<&Path>, passphrase: &PassphraseArgs) -> Result<(SecretKey, String)> {
    match named {
        Some(path) => load(path, passphrase),
        None => load_or_make_in(&migraine_home()?, passphrase),
    }
}

fn load_or_make_in(home: &Path, passphrase: &PassphraseArgs) -> Result<(SecretKey, String)> {
    let path = home.join(FILE_NAME);
    if path.symlink_metadata().is_ok() {
        return load(&path, passphrase);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)
        .with_context(|| format!("cannot make `{}`", home.display()))?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| anyhow!("the system has no random bytes: {error}"))?;
    let key = SecretKey::from_seed(&seed);
    save_secret(&path, &key.render_plain()?)?;
    let origin = format!(
        "made the developer key {}, which is NOT encrypted: whoever reads the file can sign as you\nkey {}",
        path.display(),
        key.fingerprint()
    );
    Ok((key, origin))
}

fn load(path: &Path, passphrase: &PassphraseArgs) -> Result<(SecretKey, String)> {
    let key = passphrase.open(load_secret(path)?, path).map_err(|failure| match failure {
        Failure::Error { message, help, .. } => match help {
            Some(help) => anyhow!("{message}; {help}"),
            None => anyhow!(message),
        },
        other => anyhow!("{other:?}"),
    })?;
    let origin = format!("key {} from {}", key.fingerprint(), path.display());
    Ok((key, origin))
}

fn migraine_home() -> Result<PathBuf> {
    let own = std::env::var_os("MIGRAINE_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    own.or_else(|| std::env::home_dir().map(|home| home.join(".migraine")))
        .context("neither MIGRAINE_HOME nor HOME is set")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_developer_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("a/home");
        let none = PassphraseArgs::default();
        let (made, said) = load_or_make_in(&home, &none).unwrap();
        assert!(said.contains("NOT encrypted"), "{said}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&home), 0o700);
        assert_eq!(mode(&home.join(FILE_NAME)), 0o600);
        let (again, said) = load_or_make_in(&home, &none).unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        assert!(!said.contains("made"), "{said}");

        fs::set_permissions(home.join(FILE_NAME), fs::Permissions::from_mode(0o644)).unwrap();
        load_or_make_in(&home, &none).unwrap_err();
        load_or_make(Some(&folder.path().join("missing")), &none).unwrap_err();
    }
}
