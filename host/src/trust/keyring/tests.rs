//! The keyring on a real file system.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::*;
use crate::code::{Code, Coded as _};
use crate::trust::{BadSince, fixture};

fn trusted(number: u8) -> TrustedKey {
    let scopes = ["*".parse().unwrap()];
    TrustedKey::new(fixture::secret(number).public(), "note", &scopes, "2026-01-02T03:04:05Z").unwrap()
}

/// A keyring with one key, and the path of that key's file.
fn with_one() -> (TempDir, PathBuf, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys");
    Keyring::open(&path).unwrap().add(&trusted(1)).unwrap();
    let file = path.join(file_name(&trusted(1).fingerprint(), KEY));
    (home, path, file)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn keys_come_back_and_are_private() {
    let (_home, path, file) = with_one();
    let keyring = Keyring::open(&path).unwrap();
    keyring.add(&trusted(2)).unwrap();
    keyring.add(&trusted(2)).unwrap();
    let found = keyring.list().unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.contains(&trusted(1)) && found.contains(&trusted(2)));
    assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "no temporary file is left");
    assert_eq!(Keyring::load_from(&path).unwrap().len(), 2);
    assert!(Keyring::load_from(&path.join("none")).unwrap().is_empty());
    assert!(!path.join("none").exists());
    fs::write(path.join(".1234.tmp"), "left behind").unwrap();
    assert_eq!(keyring.list().unwrap().len(), 2);
}

#[test]
fn a_private_file_is_read_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("secret");
    for size in [0, 1, 31, 32, 33, 64, 8192, FILE_MAX] {
        fs::write(&file, vec![b'x'; size]).unwrap();
        set_mode(&file, 0o600);
        let text = read_secret(&file).unwrap();
        assert_eq!(text.as_slice(), vec![b'x'; size], "{size}");
        assert_eq!(text.capacity(), size + SPARE_ROOM, "it did not grow");
    }
    fs::write(&file, vec![b'x'; FILE_MAX + 1]).unwrap();
    let error = read_secret(&file).unwrap_err();
    assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
}

// A123: what others could have written is not read, and none of the keys counts.
#[test]
fn what_others_could_change_is_refused() {
    let insecure = |path: &Path, what: &str| {
        let error = Keyring::load_from(path).expect_err(what);
        assert_eq!(error.code(), Code::InsecurePermissions, "{what}: {error}");
    };
    for bad in [0o770, 0o707, 0o720, 0o777, 0o1777] {
        let (_home, path, _) = with_one();
        set_mode(&path, bad);
        insecure(&path, "directory");
        assert_eq!(Keyring::open(&path).unwrap_err().code(), Code::InsecurePermissions);
    }
    for bad in [0o660, 0o606, 0o666] {
        let (_home, path, file) = with_one();
        set_mode(&file, bad);
        insecure(&path, "file");
    }
    if geteuid().is_root() {
        let (_home, path, file) = with_one();
        chown(&file, Some(65534), None).unwrap();
        insecure(&path, "a file of somebody else");
        chown(&file, Some(0), None).unwrap();
        chown(&path, Some(65534), None).unwrap();
        insecure(&path, "a directory of somebody else");
    } else {
        insecure(Path::new("/"), "a directory of somebody else");
    }
    let (_home, path, file) = with_one();
    fs::remove_file(&file).unwrap();
    mkfifo(&file, Mode::S_IRWXU).unwrap();
    insecure(&path, "a pipe");
}

#[test]
fn links_are_not_followed() {
    let (home, path, file) = with_one();
    let elsewhere = home.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(Keyring::load_from(&path).unwrap_err().code(), Code::Io);
    let link = home.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(Keyring::load_from(&link).unwrap_err().code(), Code::Io);
    assert_eq!(Keyring::open(&link).unwrap_err().code(), Code::Io);
}

#[test]
fn a_damaged_file_is_named() {
    let check = |edit: &dyn Fn(&Path)| {
        let (_home, path, file) = with_one();
        edit(&file);
        let error = Keyring::load_from(&path).unwrap_err();
        assert_eq!(error.code(), Code::ValueInvalid, "{error}");
        assert!(error.to_string().contains(".key"), "{error}");
    };
    check(&|file| fs::write(file, "").unwrap());
    check(&|file| fs::write(file, "x".repeat(100_000)).unwrap());
    check(&|file| fs::write(file, trusted(2).render()).unwrap());
    check(&|file| fs::rename(file, file.with_file_name("other.key")).unwrap());
    check(&|file| fs::write(file, trusted(1).render() + "\n").unwrap());
}

#[test]
fn keys_and_their_lists_go_together() {
    let (_home, path, file) = with_one();
    let keyring = Keyring::open(&path).unwrap();
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let bad = [(fixture::secret(2).fingerprint(), BadSince::Always)];
    let first = RevocationList::first(fixture::secret(1).public(), now);
    let signed = first.sign_next(&fixture::secret(1), &bad, now).unwrap();
    let list = RevocationList::parse(signed.as_bytes(), "list").unwrap();
    keyring.add_list(&list, signed.as_bytes()).unwrap();
    let keys = keyring.load().unwrap();
    assert_eq!(keys.list_of(&list.signer), Some(&list));
    let list_file = file.with_extension("revoked");
    assert_eq!(mode(&list_file), 0o600);
    // Somebody else's list under this name, and one that was changed.
    keyring.add(&trusted(2)).unwrap();
    let other = path.join(file_name(&trusted(2).fingerprint(), LIST));
    fs::rename(&list_file, &other).unwrap();
    assert_eq!(keyring.load().unwrap_err().code(), Code::ValueInvalid);
    // Of a key that is not there, none counts, and the next change removes it.
    fs::remove_file(other.with_extension("key")).unwrap();
    assert_eq!(keyring.load().unwrap().len(), 1);
    drop(Keyring::open(&path).unwrap());
    assert!(!other.exists() && file.exists());
    fs::write(&list_file, signed.replace("version 1", "version 2")).unwrap();
    assert_eq!(keyring.load().unwrap_err().code(), Code::SignatureInvalid);
    fs::write(&list_file, &signed).unwrap();
    set_mode(&list_file, 0o620);
    assert_eq!(keyring.load().unwrap_err().code(), Code::InsecurePermissions);
    set_mode(&list_file, 0o600);
    keyring.remove(&list.signer.fingerprint()).unwrap();
    // That the list was seen stays known, and revokes nothing.
    let seen: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(seen, [file.with_extension("seen")]);
    let keys = Keyring::open(&path).unwrap().load().unwrap();
    assert_eq!((keys.list_of(&list.signer), keys.seen_list_of(&list.signer)), (None, Some(&list)));
    keyring.remove(&list.signer.fingerprint()).unwrap();
}

// A206: a secret key that others can read is not used.
#[test]
fn secret_keys_are_for_their_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("secret");
    let [one, other] = [1, 2].map(|number| fixture::secret(number).render_plain().unwrap());
    let loaded = || load_secret(&path).unwrap().open(None).unwrap().fingerprint();
    save_secret(&path, &one).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(loaded(), fixture::secret(1).fingerprint());
    assert_eq!(save_secret(&path, &other).unwrap_err().code(), Code::Io);
    assert_eq!(loaded(), fixture::secret(1).fingerprint());
    for bad in [0o640, 0o604, 0o644, 0o601] {
        set_mode(&path, bad);
        assert_eq!(load_secret(&path).err().unwrap().code(), Code::InsecurePermissions, "{bad:o}");
    }
    set_mode(&path, 0o400);
    assert!(load_secret(&path).is_ok());
    assert_eq!(load_secret(&home.path().join("none")).err().unwrap().code(), Code::FileNotFound);
}

#[test]
fn public_keys_are_read_from_files() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("public");
    fs::write(&path, fixture::secret(1).public().render_file()).unwrap();
    assert_eq!(load_public(&path).unwrap(), fixture::secret(1).public());
    fs::write(&path, fixture::secret(1).public().render_pem().unwrap()).unwrap();
    assert_eq!(load_public(&path).unwrap(), fixture::secret(1).public());
    fs::write(&path, "something else\n").unwrap();
    let error = load_public(&path).unwrap_err();
    assert!(error.code() == Code::ValueInvalid && error.to_string().contains("public"), "{error}");
    fs::write(&path, format!("ed25519-public:01{}\n", "00".repeat(31))).unwrap();
    assert_eq!(load_public(&path).unwrap_err().code(), Code::WeakKey);
}
