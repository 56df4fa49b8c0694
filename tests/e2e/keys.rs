//! Keys are made, kept, handed over and taken back, as root and as a plain user; and stock openssl reads what is written here
//! and writes what is read here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use migraine_host::trust::SecretKey;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::package::{Parcel, key, manifest, other_key, plugin, tiny, typed};
use migraine_tests::run::User;
use migraine_tests::terminal::{converse, converse_meanwhile};
use serde_json::{Value, json};

use super::signed::{bare, clock};

/// A plugin of a few kilobytes.
fn named(name: &str, version: &str) -> Parcel {
    let mut manifest = manifest(name, &json!({"commands": ["go"]}));
    manifest["version"] = json!(version);
    tiny(&manifest)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A file of the working directory that only the home's user can read.
pub(super) fn private(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.write(name, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Runs a shell line in the working directory, as the home's user.
fn shell(home: &Home, user: User, line: &str) -> Done {
    let mut command = user.command(Path::new("/bin/bash"));
    command.args(["-ec", line]).env("PATH", product_path()).env("MIGRAINE_HOME", home.path()).current_dir(home.work());
    Done::of(&mut command)
}

fn product_path() -> String {
    let program = migraine_tests::artifacts::migraine().parent().unwrap();
    format!("{}:/usr/bin:/bin", program.display())
}

fn fingerprint(path: &Path, passphrase: Option<&str>) -> String {
    let file = migraine_host::trust::keyring::load_secret(path);
    // The file may be the plain user's, and root is another one.
    let file = file.or_else(|_| migraine_host::trust::SecretFile::parse(&fs::read(path).unwrap())).unwrap();
    file.open(passphrase.map(str::as_bytes)).unwrap().fingerprint().to_string()
}

// covers: A206
#[test]
fn a_secret_key_is_encrypted_unless_its_owner_says_otherwise() {
    for &user in kernel::users() {
        let home = Home::of(user);
        // Nobody to ask: nothing is written, and nothing weaker either.
        let before = home.snapshot();
        home.refused(&["key", "generate"], "passphrase_missing");
        assert_eq!(home.snapshot(), before);
        let passphrase = private(&home, "passphrase", "correct horse\nsecond line\n");
        let made = home.json(&["key", "generate", "--passphrase-file", typed(&passphrase)]);
        let path = home.path().join("developer.key");
        assert_eq!((mode(&path), &made["encrypted"]), (0o600, &json!(true)));
        assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(made["fingerprint"], fingerprint(&path, Some("correct horse")));
        // What opens it: a file, a descriptor; and nothing else.
        let developer = typed(&path);
        home.ok(&["key", "export", developer, "--passphrase-file", typed(&passphrase)]);
        shell(&home, user, &format!("migraine key export {developer} --passphrase-fd 3 3< <(echo correct horse)"))
            .ends(0);
        let wrong = shell(&home, user, &format!("migraine key export {developer} --passphrase-fd 3 3< <(echo wrong)"));
        wrong.ends(6).says(&["error[passphrase_wrong]"]).never_says(&["correct", "echo"]);
        home.refused(&["key", "export", developer], "passphrase_missing");
        shell(&home, user, &format!("migraine key export {developer} --passphrase-fd 9"))
            .ends(1)
            .says(&["descriptor 9"]);
        let empty = private(&home, "empty", "\n");
        home.refused(&["key", "export", developer, "--passphrase-file", typed(&empty)], "value_invalid");
        // A passphrase that others can read is none, nor is a key.
        for open in [0o640, 0o604, 0o644] {
            fs::set_permissions(&passphrase, fs::Permissions::from_mode(open)).unwrap();
            home.refused(
                &["key", "export", developer, "--passphrase-file", typed(&passphrase)],
                "insecure_permissions",
            );
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            home.refused(&["key", "export", developer], "insecure_permissions");
        }
    }
    // No verb takes a passphrase itself.
    let home = Home::new();
    for verb in ["generate", "import", "revoke", "rotate", "export"] {
        let help = home.ok(&["key", verb, "--help"]).out;
        for line in help.lines().filter(|line| line.trim_start().starts_with("--passphrase")) {
            assert!(line.contains("--passphrase-file <FILE>") || line.contains("--passphrase-fd <NUMBER>"), "{line}");
        }
        home.run(["key", verb, "x", "--passphrase", "secret"]).ends(1);
    }
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    for &user in kernel::users() {
        let home = Home::of(user);
        let path = home.path().join("developer.key");
        let twice = [("New passphrase of", "correct horse\n"), ("The same again: ", "correct horse\n")];
        let done = converse(&home, &["key", "generate"], &[], &twice);
        done.ends(0).never_says(&["correct horse"]);
        fingerprint(&path, Some("correct horse"));
        let export = ["key", "export", typed(&path)];
        converse(&home, &export, &[], &[("Passphrase of", "correct horse\n")]).ends(0).says(&["BEGIN PUBLIC KEY"]);
        converse(&home, &export, &[], &[("Passphrase of", "wrong\n")]).ends(6).says(&["passphrase_wrong"]);
        // Ctrl-C ends the question; what was typed stays hidden, and the terminal is as before.
        converse(&home, &export, &[], &[("Passphrase of", "corr\u{3}")]).ends(130).never_says(&["corr\r", "BEGIN"]);
        fs::remove_file(&path).unwrap();
        let before = home.snapshot();
        let different = [("New passphrase of", "one\n"), ("The same again: ", "other\n")];
        converse(&home, &["key", "generate"], &[], &different).ends(3).says(&["differ"]);
        assert_eq!(home.snapshot(), before);
    }
}

const OPENSSL_SIGNS: &str = r#"
openssl genpkey -algorithm ed25519 -out author.pem
openssl pkey -in author.pem -pubout -out author.pub
{ printf 'migraine-plugin-v1\0'; openssl dgst -sha512 -binary index; } > message
openssl pkeyutl -sign -rawin -inkey author.pem -in message -out signature
hex() { od -An -v -tx1 | tr -d ' \n'; }
key=$(openssl pkey -in author.pem -pubout -outform DER | tail -c 32 | hex)
{ cat index; printf 'migraine-signature 1\nkey ed25519-public:%s\nsignature %s\n' "$key" "$(hex < signature)"; } > sidecar
"#;

#[test]
fn openssl_makes_a_key_and_a_signature_that_are_accepted() {
    for &user in kernel::users() {
        let home = bare(user);
        let parcel = named("demo", "1.0.0");
        let sidecar = fs::read_to_string(parcel.sidecar()).unwrap();
        home.write("index", &sidecar[..sidecar.find("migraine-signature").unwrap()]);
        shell(&home, user, OPENSSL_SIGNS).ends(0);
        fs::copy(home.work().join("sidecar"), parcel.sidecar()).unwrap();
        home.refused(&["plugin", "install", parcel.typed()], "untrusted_key");
        home.ok(&["key", "trust", "author.pub", "--scope", "demo"]);
        home.ok(&["plugin", "install", parcel.typed()]);
        home.ok(&["plugin", "verify", "demo"]);
        // The secret key of openssl becomes one's own: plain, and encrypted by openssl's usual way.
        let passphrase = private(&home, "passphrase", "correct horse\n");
        let by_file = ["--passphrase-file", typed(&passphrase)];
        home.ok(&[&["key", "import", "author.pem", "--out", "own.key"][..], &by_file].concat());
        let encrypt = "openssl pkcs8 -topk8 -in author.pem -out locked.pem -v2 aes-256-cbc -passout file:passphrase";
        shell(&home, user, encrypt).ends(0);
        home.ok(&[&["key", "import", "locked.pem", "--out", "again.key"][..], &by_file].concat());
        let public = home.ok(&[&["key", "export", "own.key"][..], &by_file].concat()).out;
        assert_eq!(public, fs::read_to_string(home.work().join("author.pub")).unwrap());
        assert_eq!(home.ok(&[&["key", "export", "again.key"][..], &by_file].concat()).out, public);
        assert_eq!(mode(&home.work().join("own.key")), 0o600);
        // A key of another kind is none, and an existing file is not written over.
        shell(
            &home,
            user,
            "openssl genpkey -algorithm rsa -out rsa.pem -quiet && openssl pkey -in rsa.pem -pubout -out rsa.pub",
        )
        .ends(0);
        home.refused(&["key", "import", "rsa.pem", "--out", "rsa.key"], "value_invalid");
        home.refused(&["key", "trust", "rsa.pub", "--scope", "*"], "value_invalid");
        home.refused(&["key", "import", "author.pem", "--out", "own.key", "--no-passphrase"], "io");
        // A secret key that others can read is not taken in either.
        shell(&home, user, "chmod 644 author.pem").ends(0);
        home.refused(&["key", "import", "author.pem", "--out", "x.key", "--no-passphrase"], "insecure_permissions");
    }
}

const OPENSSL_VERIFIES: &str = r#"
head -n -3 sidecar > index
{ printf 'migraine-plugin-v1\0'; openssl dgst -sha512 -binary index; } > message
tail -n 1 sidecar | cut -d ' ' -f 2 | tr -d '\n' | sed 's/../\\x&/g' > escaped
printf "$(cat escaped)" > signature
openssl pkeyutl -verify -pubin -inkey signer.pub -rawin -in message -sigfile signature
"#;

#[test]
fn openssl_verifies_what_is_signed_here_and_reads_the_keys() {
    for &user in kernel::users() {
        let home = Home::of(user);
        let passphrase = private(&home, "passphrase", "correct horse\n");
        let by_file = ["--passphrase-file", typed(&passphrase)];
        home.ok(&[&["key", "generate", "--out", "mine.key"][..], &by_file].concat());
        home.ok(&["key", "generate", "--out", "plain.key", "--no-passphrase"]);
        for (file, pass) in [("mine.key", "-passin file:passphrase"), ("plain.key", "")] {
            shell(&home, user, &format!("openssl pkey -in {file} {pass} -pubout -out {file}.pub")).ends(0);
            let exported = home.ok(&[&["key", "export", file][..], &by_file].concat()).out;
            assert_eq!(exported, fs::read_to_string(home.work().join(format!("{file}.pub"))).unwrap(), "{file}");
        }
        let parcel = named("demo", "1.0.0");
        home.write("sidecar", &fs::read_to_string(parcel.sidecar()).unwrap());
        home.write("signer.pub", &home.ok(&["key", "export", &key().public().fingerprint().to_string()]).out);
        shell(&home, user, OPENSSL_VERIFIES).ends(0).says(&["Signature Verified Successfully"]);
        home.write("signer.pub", &other_key().public().render_pem().unwrap());
        assert_ne!(shell(&home, user, OPENSSL_VERIFIES).code, 0);
    }
}

// covers: A109
#[test]
fn an_unknown_key_is_pinned_for_one_plugin_after_a_question() {
    let (one, next) = (named("demo", "1.0.0").signed(&other_key()), named("demo", "1.0.1").signed(&other_key()));
    let (changed, sibling) = (named("demo", "1.0.2"), named("demo-two", "1.0.0").signed(&other_key()));
    let (theirs, mine) = (other_key().public().fingerprint().to_string(), key().public().fingerprint().to_string());
    let install = ["plugin", "install", one.typed()];
    for &user in kernel::users() {
        let home = bare(user);
        let before = home.snapshot();
        for no in ["\n", "n\n", "yess\n"] {
            let done = converse(&home, &install, &[], &[("Trust this key for demo? [y/N] ", no)]);
            done.ends(6).says(&[&theirs, "untrusted_key", "migraine key trust"]);
            assert_eq!(home.snapshot(), before, "{no:?}");
        }
        converse(&home, &install, &[], &[("Trust this key for demo? [y/N] ", "y\n")]).ends(0);
        let keys = home.json(&["key", "list"]);
        assert_eq!(
            (&keys[0]["level"], &keys[0]["scope"], &keys[0]["from"]),
            (&json!("tofu"), &json!(["demo"]), &json!("install"))
        );
        // The same key is asked for no more; it is for no other plugin; another one is refused, without a question.
        home.ok(&["plugin", "install", next.typed()]);
        converse(&home, &["plugin", "install", sibling.typed()], &[], &[])
            .ends(6)
            .says(&["key_scope"])
            .never_says(&["[y/N]"]);
        for gone in [false, true] {
            if gone {
                home.ok(&["plugin", "uninstall", "demo"]);
            }
            let done = converse(&home, &["plugin", "install", changed.typed()], &[], &[]);
            done.ends(6).says(&["key_changed", &theirs, &mine]).never_says(&["[y/N]"]);
        }
    }
}

#[test]
fn an_installation_that_fails_pins_nothing() {
    let parcel = named("demo", "1.0.0").signed(&other_key());
    let fingerprint = other_key().public().fingerprint().to_string();
    let mine = key().public().fingerprint().to_string();
    for &user in kernel::users() {
        let home = bare(user);
        // Continuous integration names the key; it is the whole fingerprint, of that key.
        home.refused(&["plugin", "install", parcel.typed(), "--trust-key", &mine], "untrusted_key");
        assert_eq!(home.run(["plugin", "install", parcel.typed(), "--trust-key", &fingerprint[..40]]).code, 1);
        assert_eq!(home.json(&["key", "list"]), json!([]));
        fs::create_dir(home.path().join("state")).unwrap();
        assert_ne!(home.run(["plugin", "install", parcel.typed(), "--trust-key", &fingerprint]).code, 0);
        fs::remove_dir(home.path().join("state")).unwrap();
        assert_eq!(home.json(&["key", "list"]), json!([]));
        home.ok(&["plugin", "install", parcel.typed(), "--trust-key", &fingerprint]);
        let keys = home.json(&["key", "list"]);
        assert_eq!((&keys[0]["level"], &keys[0]["scope"]), (&json!("trusted"), &json!(["demo"])));
        home.ok(&["plugin", "verify", "demo"]);
    }
}

/// Writes a secret key of this number, not encrypted.
fn secret(home: &Home, name: &str, number: u8) -> SecretKey {
    let key = SecretKey::from_seed(&[number; 32]);
    private(home, name, &key.render_plain().unwrap());
    key
}

#[test]
fn a_key_hands_over_to_another() {
    for &user in kernel::users() {
        let home = bare(user);
        let (old, new) = (secret(&home, "old.key", 21), secret(&home, "new.key", 22));
        home.write("new.pub", &new.public().render_pem().unwrap());
        home.ok(&["key", "trust", &old.public().to_string(), "--scope", "acme-*", "--label", "Acme"]);
        home.ok(&["plugin", "install", named("acme-one", "1.0.0").signed(&old).typed()]);
        let rotate = |scope: &str, out: &str| {
            home.ok(&["key", "rotate", "old.key", "new.pub", "--scope", scope, "--out", out]);
        };
        rotate("other-*", "none.rotation");
        home.refused(&["key", "import", "none.rotation"], "key_scope");
        rotate("*", "handover");
        let text = fs::read_to_string(home.work().join("handover")).unwrap();
        home.write("forged", &text.replacen("scope *", "scope B*", 1));
        home.refused(&["key", "import", "forged"], "value_invalid");
        home.write("bent", &text.replacen("scope *", "scope a", 1));
        home.refused(&["key", "import", "bent"], "signature_invalid");
        let report = home.json(&["key", "import", "handover"]);
        assert_eq!(report["new"]["scope"], json!(["acme-*"]), "never more than the old key has");
        assert_eq!(report["new"]["label"], "Acme");
        // The new key signs; the old one signs nothing new, and what it signed goes on.
        home.ok(&["plugin", "install", named("acme-two", "1.0.0").signed(&new).typed()]);
        home.refused(&["plugin", "install", named("acme-one", "1.0.1").signed(&old).typed()], "key_expired");
        home.ok(&["plugin", "verify", "acme-one"]);
        home.refused(&["plugin", "install", named("other", "1.0.0").signed(&new).typed()], "key_scope");
        // The old key was stolen before it signed that: so the new one is nobody's.
        home.ok(&["key", "revoke", &old.public().fingerprint().to_string()]);
        home.refused(&["plugin", "verify", "acme-one"], "key_revoked");
        home.refused(&["plugin", "verify", "acme-two"], "key_revoked");
        home.refused(&["key", "import", "handover"], "key_revoked");
        // A statement of a key that nobody trusts says nothing.
        let strangers = bare(user);
        strangers.write("handover", &text);
        strangers.refused(&["key", "import", "handover"], "untrusted_key");
        assert_eq!(strangers.json(&["key", "list"]), json!([]));
    }
}

// covers: A119
#[test]
fn a_list_of_revoked_keys_is_checked_at_every_load() {
    for &user in kernel::users() {
        let home = bare(user);
        let (owner, lost) = (secret(&home, "owner.key", 31), SecretKey::from_seed(&[32; 32]));
        for key in [&owner, &lost] {
            home.ok(&["key", "trust", &key.public().to_string(), "--scope", "acme-*"]);
        }
        home.ok(&["plugin", "install", named("acme-one", "1.0.0").signed(&lost).typed()]);
        home.ok(&["plugin", "install", named("acme-two", "1.0.0").signed(&owner).typed()]);
        let sign = |more: &[&str]| {
            home.ok(&[&["key", "revoke"][..], more, &["--list", "revoked", "--sign-with", "owner.key"]].concat());
            fs::read_to_string(home.work().join("revoked")).unwrap()
        };
        let first = sign(&[]);
        home.ok(&["key", "import", "revoked"]).says(&["List 1 of", "0 keys"]);
        home.ok(&["plugin", "verify", "acme-one"]);
        sign(&[&lost.public().to_string()]);
        home.ok(&["key", "import", "revoked"]).says(&["List 2 of", "1 keys", "stopped  acme-one"]);
        // Whoever looks at the key or the plugin is told, and nobody trusts it for those names by mistake.
        let bad = lost.public().fingerprint().to_string();
        let by = owner.public().fingerprint().to_string();
        home.ok(&["key", "list"]).says(&["level    revoked", &format!("for acme-*, by the list of {by}")]);
        let shown = home.json(&["key", "show", &bad]);
        assert_eq!((&shown["level"], &shown["listed"][0]["by"]), (&json!("revoked"), &json!(by)), "{shown}");
        home.run(["plugin", "audit", "acme-one"]).ends(3).says(&["revoked, for acme-*"]);
        for scope in ["acme-one", "acme-*", "*"] {
            home.refused(&["key", "trust", &lost.public().to_string(), "--scope", scope], "key_revoked");
        }
        home.refused(&["plugin", "verify", "acme-one"], "key_revoked");
        home.refused(&["plugin", "install", named("acme-one", "1.0.1").signed(&lost).typed()], "key_revoked");
        home.ok(&["plugin", "verify", "acme-two"]);
        let shown = home.json(&["key", "show", &owner.public().fingerprint().to_string()]);
        assert_eq!((&shown["list"]["version"], &shown["plugins"]), (&json!(2), &json!(["acme-two"])));
        // Back to the list on which it was good.
        home.write("old", &first);
        home.refused(&["key", "import", "old"], "version_rollback");
        home.write("bent", &first.replacen("version 1", "version 9", 1));
        home.refused(&["key", "import", "bent"], "signature_invalid");
        home.refused(&["plugin", "verify", "acme-one"], "key_revoked");
        // Other names are not the owner's to speak of.
        home.ok(&["key", "trust", &lost.public().to_string(), "--scope", "own"]);
        home.ok(&["plugin", "install", named("own", "1.0.0").signed(&lost).typed()]);
        let shown = home.json(&["key", "show", &bad]);
        assert_eq!((&shown["level"], &shown["listed"][0]["scope"]), (&json!("trusted"), &json!(["acme-*"])), "{shown}");
        // Who no longer trusts the owner does not hear the list either; that is not said by mistake.
        let before = home.snapshot();
        let error = home.refused(&["key", "untrust", &by], "key_revoked");
        assert!(error["message"].as_str().unwrap().contains("run again: acme-one"), "{error}");
        assert!(error["help"].as_str().unwrap().contains("--forget-revocation"), "{error}");
        assert_eq!(home.snapshot(), before);
        home.ok(&["key", "untrust", &by, "--forget-revocation"]).says(&["runs     acme-one"]);
        home.ok(&["plugin", "verify", "acme-one"]);
        home.refused(&["key", "import", "revoked"], "untrusted_key");
        // Trusted again, what it said last is remembered: no older list comes in.
        home.ok(&["key", "trust", &owner.public().to_string(), "--scope", "acme-*"]);
        home.refused(&["key", "import", "old"], "version_rollback");
        home.ok(&["key", "import", "revoked"]).says(&["stopped  acme-one"]);
        home.refused(&["plugin", "verify", "acme-one"], "key_revoked");
    }
}

// covers: A119
#[test]
fn what_is_taken_back_during_the_question_is_taken_back() {
    let asking = json!({"version": "1.0.0", "commands": ["go"], "permissions": ["task_read"]});
    let parcel = tiny(&manifest("demo", &asking)).signed(&other_key());
    let print = other_key().public().fingerprint().to_string();
    let install = ["plugin", "install", parcel.typed()];
    for &user in kernel::users() {
        for (words, code) in
            [(&["key", "untrust", &print][..], "untrusted_key"), (&["key", "revoke", &print], "key_revoked")]
        {
            let home = bare(user);
            home.ok(&["key", "trust", &other_key().public().to_string(), "--scope", "demo"]);
            let done = converse_meanwhile(&home, &install, &[("Allow this? [y/N] ", "y\n")], || {
                home.ok(words);
            });
            done.ends(6).says(&[&format!("error[{code}]")]).never_says(&["installed successfully"]);
            assert_eq!(home.json(&["plugin", "list"])["summary"]["total"], 0);
        }
        // Also of a key that the answer would have pinned.
        let home = bare(user);
        let answers = [("Trust this key for demo? [y/N] ", "y\n"), ("Allow this? [y/N] ", "y\n")];
        let public = other_key().public().to_string();
        let done = converse_meanwhile(&home, &install, &answers, || {
            home.ok(&["key", "revoke", &public]);
        });
        done.ends(6).says(&["error[key_revoked]"]);
        assert_eq!(home.json(&["key", "list"])[0]["level"], "revoked");
        // What changes nothing about it does not disturb.
        let home = bare(user);
        home.ok(&["key", "trust", &public, "--scope", "demo"]);
        let done = converse_meanwhile(&home, &install, &[("Allow this? [y/N] ", "y\n")], || {
            home.ok(&["key", "trust", &public, "--scope", "other"]);
        });
        done.ends(0).says(&["installed successfully"]);
    }
}

#[test]
fn a_list_without_keys_is_no_reason_to_keep_its_signer() {
    let home = bare(User::Root);
    let owner = secret(&home, "owner.key", 31);
    home.ok(&["key", "trust", &owner.public().to_string(), "--scope", "acme-*"]);
    home.ok(&["key", "revoke", "--list", "revoked", "--sign-with", "owner.key"]);
    home.ok(&["key", "import", "revoked"]);
    home.ok(&["key", "untrust", &owner.public().fingerprint().to_string()]);
    // One that revokes its own signer is not forgotten by forgetting that one.
    home.ok(&["key", "trust", &owner.public().to_string(), "--scope", "acme-*"]);
    let own = owner.public().to_string();
    home.ok(&["key", "revoke", &own, "--list", "revoked", "--sign-with", "owner.key"]);
    home.ok(&["key", "import", "revoked"]);
    assert_eq!(home.json(&["key", "list"])[0]["level"], "revoked");
    home.refused(&["key", "untrust", &own], "key_revoked");
    home.refused(&["key", "trust", &own, "--scope", "acme-*"], "key_revoked");
    home.refused(&["plugin", "install", named("acme-one", "1.0.0").signed(&owner).typed()], "key_revoked");
}

#[test]
fn an_old_list_warns_and_then_stops_what_is_new() {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let shim = clock(folder.path());
    for &user in kernel::users() {
        let home = bare(user);
        let owner = secret(&home, "owner.key", 31);
        home.ok(&["key", "trust", &owner.public().to_string(), "--scope", "acme-*"]);
        home.ok(&["key", "trust", &key().public().to_string(), "--scope", "*"]);
        home.ok(&["key", "revoke", "--list", "revoked", "--sign-with", "owner.key"]);
        home.ok(&["key", "import", "revoked"]);
        let later = |days: i64, args: &[&str]| {
            let mut command = home.command(args);
            Done::of(command.env("LD_PRELOAD", &shim).env("CLOCK_OFF_BY", (days * 86_400).to_string()))
        };
        let acme = named("acme-one", "1.0.0").signed(&owner);
        let install = ["plugin", "install", acme.typed()];
        later(6, &install).ends(0).never_says(&["list of revoked keys"]);
        later(7, &install).ends(0).says(&["warning: the list of revoked keys of", "7 days old"]);
        later(31, &install).ends(6).says(&["error[revocations_stale]"]);
        later(31, &["plugin", "verify", "acme-one"]).ends(0);
        // Others are not concerned, and a new list mends it.
        later(31, &["plugin", "install", named("other", "1.0.0").typed()]).ends(0);
        later(31, &["key", "revoke", "--list", "revoked", "--sign-with", "owner.key"]).ends(0);
        later(31, &["key", "import", "revoked"]).ends(0);
        later(31, &install).ends(0).never_says(&["list of revoked keys"]);
    }
}

#[test]
fn what_was_installed_before_a_key_was_lost_may_stay() {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let shim = clock(folder.path());
    for &user in kernel::users() {
        let home = Home::of(user);
        let (before, after) = (named("before", "1.0.0"), named("after", "1.0.0"));
        home.ok(&["plugin", "install", before.typed()]);
        let mut late = home.command(["plugin", "install", after.typed()]);
        Done::of(late.env("LD_PRELOAD", &shim).env("CLOCK_OFF_BY", (10 * 86_400).to_string())).ends(0);
        let installed = home.json(&["plugin", "info", "after"])["installed_at"].as_str().unwrap().to_owned();
        let fingerprint = key().public().fingerprint().to_string();
        let mut revoke =
            home.command(["--format", "json", "key", "revoke", &fingerprint, "--since", &installed, "--keep-older"]);
        let done = Done::of(revoke.env("LD_PRELOAD", &shim).env("CLOCK_OFF_BY", (10 * 86_400).to_string()));
        let report: Value = serde_json::from_str(&done.ends(0).out).unwrap();
        assert_eq!((&report[0]["staying"], &report[0]["stopped"]), (&json!(["before"]), &json!(["after"])));
        home.ok(&["plugin", "verify", "before"]);
        home.refused(&["plugin", "verify", "after"], "key_revoked");
        let again = ["plugin", "install", before.typed()];
        let mut again = home.command(again);
        Done::of(again.env("LD_PRELOAD", &shim).env("CLOCK_OFF_BY", (10 * 86_400).to_string()))
            .ends(6)
            .says(&["key_revoked"]);
        // It was a mistake: the key is forgotten first, and trusted anew.
        home.ok(&["key", "untrust", &fingerprint, "--forget-revocation"]);
        home.refused(&["plugin", "verify", "before"], "untrusted_key");
    }
}

#[test]
fn a_command_line_that_says_too_little_changes_nothing() {
    let home = Home::new();
    // The folders that every change makes.
    home.ok(&["key", "trust", &key().public().to_string(), "--scope", "*"]);
    let before = home.snapshot();
    let unknown = other_key().public().fingerprint().to_string();
    for verb in ["show", "untrust", "revoke", "export"] {
        home.refused(&["key", verb, &unknown], "key_not_found");
    }
    home.refused(&["key", "import", "none"], "file_not_found");
    for (words, text) in [
        (vec!["key", "revoke"], "KEY"),
        (vec!["key", "revoke", &unknown, "--keep-older"], "--since"),
        (vec!["key", "revoke", &unknown, "--list", "x"], "--sign-with"),
        (vec!["key", "rotate", "a", "b"], "--out"),
        (vec!["key", "trust", &unknown, "--scope", "*", "--until", "tomorrow"], "a day is written like 2027-01-31"),
        (vec!["key", "trust", &unknown, "--scope", "*", "--until", "2027-02-30"], "`2027-02-30` is no day"),
    ] {
        home.run(&words).ends(1).says(&[text]);
    }
    assert_eq!(home.snapshot(), before);
    // A day is enough; what lies before today ends at once.
    let public = other_key().public().to_string();
    // There is no file that could be corrected or removed.
    let label = "x".repeat(65);
    let own = secret(&home, "own.key", 41).public().to_string();
    for line in [
        &["key", "trust", &public, "--scope", "*", "--until", "2026-02-01"][..],
        &["key", "trust", &public, "--scope", "*", "--label", &label],
        &["key", "rotate", "own.key", &own, "--out", "statement"],
    ] {
        let error = home.refused(line, "value_invalid");
        assert!(!error["help"].as_str().unwrap().contains("file"), "{error}");
    }
    assert!(!home.work().join("statement").exists());
    home.ok(&["key", "trust", &public, "--scope", "a-*", "--until", "2099-02-01"])
        .says(&["until 2099-02-01T00:00:00Z"]);
    home.ok(&["key", "trust", &public, "--scope", "b", "--until", "forever"]).says(&["`a-*`, `b`", "until forever"]);
    let parcel = plugin("hello-world").signed(&other_key());
    home.refused(&["plugin", "install", parcel.typed()], "key_scope");
    home.ok(&["key", "untrust", &public]);
    home.refused(&["plugin", "install", parcel.typed()], "untrusted_key");
}
