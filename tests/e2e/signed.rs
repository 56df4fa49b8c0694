//! Listed attacks on signatures and keys. Each is made as root and as a plain user, and works where the check that stops it is
//! left out; what is stopped by the form of a thing itself has no check to leave out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use migraine_host::package::build::{Assembled, assemble};
use migraine_host::package::{SIGNATURE_LEN, Signature, open_library};
use migraine_host::trust::{KeySet, TrustedKey, judge};
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;
use migraine_tests::package::{Parcel, key, library, manifest, other_key, plugin, tiny, typed};
use migraine_tests::run::User;
use serde_json::json;

use super::attacks::with_and_without;

pub(super) fn install(home: &Home, path: &Path) -> String {
    home.word(["plugin", "install", typed(path), "--yes"])
}

/// A home of a user that trusts nobody.
pub(super) fn bare(user: User) -> Home {
    let home = Home::of(user);
    for entry in fs::read_dir(home.path().join("keys")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    home
}

/// A home of a user that trusts the kit's key for some names.
fn trusting(user: User, scope: &str) -> Home {
    let home = bare(user);
    home.ok(&["key", "trust", &key().public().to_string(), "--scope", scope]);
    home
}

/// What was assembled for a plugin, to be signed otherwise.
fn assembled(parcel: &Parcel) -> Assembled {
    let name = parcel.library.file_name().unwrap().to_str().unwrap();
    assemble(fs::read(&parcel.library).unwrap(), name, "2026-01-02T03:04:05Z").unwrap()
}

/// A plugin of a few kilobytes.
fn demo(version: &str) -> Parcel {
    let mut manifest = manifest("demo", &json!({"commands": ["go"]}));
    manifest["version"] = json!(version);
    tiny(&manifest)
}

/// Runs an install of a file as every user, by the product and by one that leaves a check out; `None` where the form itself
/// is what stops it.
fn rows(case: u16, attacks: &[(&str, &Path, Option<&'static str>)]) {
    let mut rows = Rows::of(case);
    for &user in kernel::users() {
        for (label, path, check) in attacks {
            let mut home = Home::of(user);
            let before = home.snapshot();
            let Some(check) = *check else {
                rows.design(label, user, &install(&home, path));
                assert_eq!(home.snapshot(), before, "{label}");
                continue;
            };
            let [stopped, without] = with_and_without(&mut home, check, |home| install(home, path));
            rows.host(label, user, &stopped, &format!("without {check}"), &without);
        }
    }
    rows.settle();
}

#[test]
fn a106_no_signature_is_no_verdict() {
    let bare = demo("1.0.0").unsigned();
    rows(106, &[("install a library without a signature", &bare.library, Some("Signature"))]);
}

#[test]
fn a107_a_signature_has_one_size_and_form() {
    let mut rows = Rows::of(107);
    let good = fs::read(demo("1.0.0").sidecar()).unwrap();
    let (index, block) = good.split_at(good.len() - SIGNATURE_LEN);
    let with = |block: &[u8]| [index, block].concat();
    let forms: [(&str, Vec<u8>); 8] = [
        ("empty", Vec::new()),
        ("63 bytes", with(&[&block[..block.len() - 3], b"\n"].concat())),
        ("65 bytes", with(&[&block[..block.len() - 1], b"00\n"].concat())),
        ("no hexadecimal digits", with(&[&block[..block.len() - 3], b"xy\n"].concat())),
        ("upper case", with(&block.to_ascii_uppercase())),
        ("two signatures", with(&block.repeat(2))),
        (
            "lines of another system",
            with(&String::from_utf8(block.to_vec()).unwrap().replace('\n', "\r\n").into_bytes()),
        ),
        ("an index alone", index.to_vec()),
    ];
    for &user in kernel::users() {
        for (label, form) in &forms {
            let (home, parcel) = (Home::of(user), demo("1.0.0"));
            fs::write(parcel.sidecar(), form).unwrap();
            rows.design(label, user, &install(&home, &parcel.library));
            assert!(!home.path().join("state").exists(), "{label}");
        }
        // A gibibyte that takes no room on the disk: it is not read, let alone kept.
        let (home, parcel) = (Home::of(user), demo("1.0.0"));
        fs::File::create(parcel.sidecar()).unwrap().set_len(1 << 30).unwrap();
        rows.design("1 GiB", user, &install(&home, &parcel.library));
    }
    rows.settle();
}

#[test]
fn a108_every_bit_counts() {
    let parcel = plugin("hello-world");
    let (code, sidecar) = (fs::read(&parcel.library).unwrap(), fs::read(parcel.sidecar()).unwrap());
    let name = parcel.library.file_name().unwrap().to_str().unwrap();
    let trusted = TrustedKey::new(key().public(), "tests", &["*".parse().unwrap()], "2026-01-02T03:04:05Z").unwrap();
    let keys = KeySet::new(vec![trusted]);
    // As an installation does: index and signature first, then the content.
    let passes = |code: &[u8], sidecar: &[u8]| {
        let Ok(opened) = open_library(code.to_vec(), Some(sidecar), name) else { return false };
        let verdict = judge(&opened.index_text, &opened.index, opened.signature.as_ref(), &keys, &[]);
        verdict.is_ok() && opened.into_package().is_ok()
    };
    assert!(passes(&code, &sidecar));
    for bit in 0..sidecar.len() * 8 {
        let mut changed = sidecar.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!passes(&code, &changed), "bit {bit} of the index and its signature");
    }
    for number in 0..1000 {
        let bit = number * (code.len() * 8 - 1) / 999;
        let mut changed = code.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!passes(&changed, &sidecar), "bit {bit} of the library");
    }
    // The same by the program, for one bit that only the signature tells from another.
    let small = demo("1.0.0");
    let text = fs::read_to_string(small.sidecar()).unwrap();
    fs::write(small.sidecar(), text.replacen("2026-01-02T03:04:05Z", "2026-01-02T03:04:04Z", 1)).unwrap();
    let content = demo("1.0.0");
    let mut bytes = fs::read(&content.library).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&content.library, bytes).unwrap();
    rows(
        108,
        &[("a bit of the index", &small.library, Some("Signature")), ("a bit of the library", &content.library, None)],
    );
}

#[test]
fn a109_an_unknown_key_is_no_key() {
    let parcel = demo("1.0.0").signed(&other_key());
    rows(109, &[("sign with a key of one's own", &parcel.library, Some("KnownKey"))]);
    for &user in kernel::users() {
        // Without a terminal nobody is asked, whatever standard input says.
        let home = Home::of(user);
        let fingerprint = other_key().public().fingerprint().to_string();
        let mut shell = home.command(["plugin", "install", parcel.typed(), "--yes"]);
        let answers = home.write("answers", "y\ny\ny\n");
        let done = Done::of(shell.stdin(fs::File::open(answers).unwrap()));
        done.ends(6).says(&[&fingerprint, "migraine key trust ed25519-public:"]).never_says(&["[y/N]"]);
    }
}

#[test]
fn a110_a_key_signs_the_names_of_its_scope() {
    let mut rows = Rows::of(110);
    let parcel = demo("1.0.0");
    for &user in kernel::users() {
        let mut home = trusting(user, "a-*");
        let [stopped, without] = with_and_without(&mut home, "KeyScope", |home| install(home, &parcel.library));
        rows.host("sign another's plugin", user, &stopped, "without KeyScope", &without);
    }
    rows.settle();
}

/// The points of small order, and spellings that are not the one of their point.
const WEAK: [&str; 12] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000080",
];

/// The signature that fits every message under the key that is the neutral element.
fn neutral() -> Signature {
    let (mut key, mut bytes) = ([0; 32], [0; 64]);
    (key[0], bytes[0]) = (1, 1);
    Signature { key, bytes }
}

#[test]
fn a111_weak_keys_are_no_keys() {
    let mut rows = Rows::of(111);
    for &user in kernel::users() {
        for point in WEAK {
            let home = bare(user);
            let text = format!("ed25519-public:{point}");
            home.refused(&["key", "trust", &text, "--scope", "*"], "weak_key");
            home.refused(&["key", "revoke", &text], "weak_key");
        }
        let mut home = bare(user);
        let text = format!("ed25519-public:{}", WEAK[0]);
        let [stopped, without] = with_and_without(&mut home, "KeyStrength", |home| {
            home.word(["key", "trust", text.as_str(), "--scope", "*"])
        });
        rows.host("trust the neutral key", user, &stopped, "without KeyStrength", &without);
        // Anybody can sign under it. The keyring holds it now, which the product does not even read.
        let parcel = demo("1.0.0");
        fs::write(parcel.sidecar(), assembled(&parcel).sidecar(&neutral())).unwrap();
        let [stopped, without] = with_and_without(&mut home, "KeyStrength", |home| install(home, &parcel.library));
        rows.host("sign under it, without a secret", user, &stopped, "without KeyStrength", &without);
    }
    rows.settle();
}

#[test]
fn a112_a_message_has_one_signature() {
    let parcels: Vec<(&str, Parcel)> =
        ["S + L", "S = L", "R in another spelling"].map(|label| (label, demo("1.0.0"))).into();
    for (label, parcel) in &parcels {
        let assembled = assembled(parcel);
        let mut signature = key().sign(assembled.sidecar_index.render().as_bytes());
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let order: [u8; 32] = migraine_host::ids::from_hex(order).unwrap();
        match *label {
            "S + L" => {
                let mut carry = 0_u16;
                for (byte, more) in signature.bytes[32..].iter_mut().zip(order) {
                    carry += u16::from(*byte) + u16::from(more);
                    *byte = carry.to_le_bytes()[0];
                    carry >>= 8;
                }
            }
            "S = L" => signature.bytes[32..].copy_from_slice(&order),
            _ => {
                signature.bytes = [0; 64];
                signature.bytes[0] = 0xee;
                signature.bytes[1..31].fill(0xff);
                signature.bytes[31] = 0x7f;
            }
        }
        fs::write(parcel.sidecar(), assembled.sidecar(&signature)).unwrap();
    }
    let attacks: Vec<(&str, &Path, Option<&'static str>)> =
        parcels.iter().map(|(label, parcel)| (*label, parcel.library.as_path(), Some("Signature"))).collect();
    rows(112, &attacks);
}

#[test]
fn a113_there_is_one_algorithm() {
    let names = ["none-any-thing", "hmac-sha256-00", "rsa-pkcs1-4096", "ed25519ph-publ", "ED25519-PUBLIC"];
    let parcels: Vec<(&str, Parcel)> = names.map(|name| (name, demo("1.0.0"))).into();
    for (name, parcel) in &parcels {
        let text = fs::read_to_string(parcel.sidecar()).unwrap();
        fs::write(parcel.sidecar(), text.replace("key ed25519-public:", &format!("key {name}:"))).unwrap();
    }
    let attacks: Vec<(&str, &Path, Option<&'static str>)> =
        parcels.iter().map(|(name, parcel)| (*name, parcel.library.as_path(), None)).collect();
    rows(113, &attacks);
}

#[test]
fn a114_a_signature_belongs_to_one_text() {
    let block = |parcel: &Parcel| {
        let text = fs::read_to_string(parcel.sidecar()).unwrap();
        text[text.len() - SIGNATURE_LEN..].to_owned()
    };
    let transplant = |from: &Parcel, to: Parcel| {
        let text = fs::read_to_string(to.sidecar()).unwrap();
        fs::write(to.sidecar(), text[..text.len() - SIGNATURE_LEN].to_owned() + &block(from)).unwrap();
        to
    };
    let (one, other) = (demo("1.0.0"), tiny(&manifest("other", &json!({"commands": ["go"]}))));
    let version = transplant(&one, demo("1.0.1"));
    let name = transplant(&one, other);
    // A statement about keys is no index, whoever signed it.
    let statement = demo("1.0.0");
    let text = assembled(&statement).sidecar_index.render();
    let signature = key().sign_as(migraine_host::trust::Signed::Rotation, text.as_bytes());
    fs::write(statement.sidecar(), assembled(&statement).sidecar(&signature)).unwrap();
    rows(
        114,
        &[
            ("another version's signature", &version.library, Some("Signature")),
            ("another plugin's signature", &name.library, Some("Signature")),
            ("a signature for another purpose", &statement.library, Some("Signature")),
        ],
    );
}

/// A package whose files are others than those that were signed.
fn forged(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>, &mut Assembled)) -> (Parcel, PathBuf) {
    let parcel = demo("1.0.0");
    let mut assembled = assembled(&parcel);
    let signature = key().sign(assembled.package_index.render().as_bytes());
    let mut files = assembled.files.clone();
    change(&mut files, &mut assembled);
    assembled.files = files;
    let path = parcel.library.with_extension("mgp");
    // What cannot even be written is no attack.
    fs::write(&path, assembled.package(&signature).unwrap_or_default()).unwrap();
    (parcel, path)
}

#[test]
fn a115_the_index_is_closed() {
    let (_one, size) = forged(|files, _| files[0].1.push(0));
    let (_two, content) = forged(|files, _| *files[0].1.last_mut().unwrap() ^= 1);
    let other = demo("1.0.0");
    fs::write(&other.library, library("int other;")).unwrap();
    rows(
        115,
        &[
            ("a file with another size", &size, None),
            ("a file with another content", &content, None),
            ("another library beside the signature", &other.library, None),
        ],
    );
}

#[test]
fn a116_modes_are_signed() {
    // The header is written from the index: who changes a mode there changes what was signed.
    let parcel = demo("1.0.0");
    let text = fs::read_to_string(parcel.sidecar()).unwrap();
    assert!(text.contains("file 0644") || text.contains("file 0755"), "{text}");
    let [one, other] = if text.contains("file 0644") { ["0644", "0755"] } else { ["0755", "0644"] };
    fs::write(parcel.sidecar(), text.replacen(&format!("file {one}"), &format!("file {other}"), 1)).unwrap();
    let set_user_id = demo("1.0.0");
    let text = fs::read_to_string(set_user_id.sidecar()).unwrap();
    fs::write(set_user_id.sidecar(), text.replacen(&format!("file {one}"), "file 4755", 1)).unwrap();
    rows(
        116,
        &[("change a mode", &parcel.library, Some("Signature")), ("ask for set-user-id", &set_user_id.library, None)],
    );
}

/// Runs an install by a clock that is so many seconds off.
fn at(home: &Home, shim: &Path, seconds: i64, args: &[&str]) -> String {
    let json = ["--format", "json"].iter().chain(args);
    let mut command = home.command(json);
    Done::of(command.env("LD_PRELOAD", shim).env("CLOCK_OFF_BY", seconds.to_string())).word()
}

/// A library that sets the clock of the program that loads it.
pub(super) fn clock(folder: &Path) -> PathBuf {
    let source = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdlib.h>\n#include <time.h>\n\
        int clock_gettime(clockid_t id, struct timespec *now) {\n\
            static int (*real)(clockid_t, struct timespec *);\n\
            if (!real) *(void **)&real = dlsym(RTLD_NEXT, \"clock_gettime\");\n\
            int done = real(id, now);\n\
            const char *off = getenv(\"CLOCK_OFF_BY\");\n\
            if (!done && off && id == CLOCK_REALTIME) now->tv_sec += atol(off);\n\
            return done;\n\
        }\n";
    let (input, output) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&input, source).unwrap();
    let mut gcc = std::process::Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-o"]).arg(&output).arg(&input);
    assert!(gcc.status().unwrap().success());
    output
}

const YEAR: i64 = 365 * 86_400;

#[test]
fn a118_time_does_not_go_back_and_keys_end() {
    let mut rows = Rows::of(118);
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let shim = clock(folder.path());
    let parcel = demo("1.0.0");
    let words = ["plugin", "install", parcel.typed(), "--yes"];
    for &user in kernel::users() {
        // Two years are what a key gets, and in 2099 they are over.
        for (label, years) in [("three years later", 3), ("in 2099", 73)] {
            let mut home = trusting(user, "*");
            let [stopped, without] =
                with_and_without(&mut home, "KeyTime", |home| at(home, &shim, years * YEAR, &words));
            rows.host(label, user, &stopped, "without KeyTime", &without);
        }
        let home = trusting(user, "*");
        for (label, years) in [("in 1970", -56), ("a year before the key was trusted", -1)] {
            let stopped = at(&home, &shim, years * YEAR, &words);
            rows.design(label, user, &stopped);
        }
        // Expiry is no revocation: what is installed goes on, in three years as well; nothing new comes.
        home.ok(&["plugin", "install", parcel.typed(), "--yes"]);
        assert_eq!(at(&home, &shim, 3 * YEAR, &["plugin", "verify", "demo"]), "works");
        assert_eq!(at(&home, &shim, 3 * YEAR, &["plugin", "install", demo("1.0.1").typed()]), "key_expired");
        // A clock that is behind what was installed.
        assert_eq!(at(&home, &shim, -2 * 86_400, &["plugin", "install", demo("1.0.1").typed()]), "clock_implausible");
        home.ok(&["plugin", "install", demo("1.0.1").typed()]);
    }
    rows.settle();
}

#[test]
fn a119_a_revoked_key_lets_nothing_run() {
    let mut rows = Rows::of(119);
    let parcel = plugin("hello-world");
    let fingerprint = key().public().fingerprint().to_string();
    for &user in kernel::users() {
        let mut home = Home::of(user);
        home.install(&parcel);
        home.ok(&["plugin", "hello-world", "hello"]);
        home.ok(&["key", "revoke", &fingerprint]).says(&["stopped  hello-world"]);
        for (label, words) in [
            ("run what is installed", vec!["plugin", "hello-world", "hello"]),
            ("install it", vec!["plugin", "install", parcel.typed()]),
            ("verify it", vec!["plugin", "verify", "hello-world"]),
        ] {
            let [stopped, without] = with_and_without(&mut home, "Revocation", |home| home.word(&words));
            rows.host(label, user, &stopped, "without Revocation", &without);
        }
        // It stays revoked, whoever trusts it by mistake.
        home.refused(&["key", "trust", &key().public().to_string(), "--scope", "*"], "key_revoked");
        home.refused(&["key", "untrust", &fingerprint], "key_revoked");
    }
    rows.settle();
}

#[test]
fn a120_what_is_installed_is_compared_at_every_load() {
    let mut rows = Rows::of(120);
    for &user in kernel::users() {
        let mut home = Home::of(user);
        home.ok(&["plugin", "install", typed(&plugin("hello-world").package()), "--yes"]);
        let store = home.path().join("store");
        let file = home.snapshot().into_keys().find(|path| path.starts_with(&store) && path.ends_with("plugin.json"));
        let file = file.unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.windows(6).position(|window| window == b"simple").unwrap();
        bytes[at] ^= 1;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        let [stopped, without] =
            with_and_without(&mut home, "Digest", |home| home.word(["plugin", "hello-world", "hello"]));
        rows.host("change a byte of a file in the store", user, &stopped, "without Digest", &without);
    }
    rows.settle();
}

#[test]
fn a121_a_folder_widens_no_trust() {
    let mut rows = Rows::of(121);
    let strange = demo("1.0.0").signed(&other_key());
    let unsigned = demo("1.0.0").unsigned();
    for &user in kernel::users() {
        let home = Home::of(user);
        let scope = ["*".parse().unwrap()];
        let trusted = TrustedKey::new(other_key().public(), "yours", &scope, "2026-01-02T03:04:05Z").unwrap();
        let hex = other_key().public().fingerprint().to_string().replace("ed25519:", "");
        home.write(&format!(".migraine/keys/{hex}.key"), &trusted.render());
        home.write(".migraine/config", "allow_unsigned = true\nrequire_signatures = false\n");
        home.write(".migraine/policy.yaml", "allow_unsigned: true\n");
        for (label, parcel) in [("a key in the project", &strange), ("a setting in the project", &unsigned)] {
            let mut command = home.command(["--format", "json", "plugin", "install", parcel.typed(), "--yes"]);
            for name in ["MIGRAINE_ALLOW_UNSIGNED", "MIGRAINE_REQUIRE_SIGNATURES", "MIGRAINE_TRUST_KEY"] {
                command.env(name, "1");
            }
            rows.design(label, user, &Done::of(&mut command).word());
        }
        let done = home.run(["plugin", "install", strange.typed()]);
        done.ends(6).says(&[".migraine in this directory is not read"]);
    }
    rows.settle();
}

#[test]
fn a122_an_exception_is_for_one_digest() {
    let mut rows = Rows::of(122);
    let (one, other) = (demo("1.0.0").unsigned(), demo("1.0.1").unsigned());
    for &user in kernel::users() {
        let mut home = Home::of(user);
        home.ok(&["plugin", "install", one.typed(), "--yes", "--allow-unsigned"]);
        home.ok(&["plugin", "install", one.typed(), "--yes"]);
        let [stopped, without] = with_and_without(&mut home, "Signature", |home| install(home, &other.library));
        rows.host("install another unsigned version", user, &stopped, "without Signature", &without);
        // The very file that was allowed, with other bytes, and under the same version.
        let home = Home::of(user);
        home.ok(&["plugin", "install", one.typed(), "--yes", "--allow-unsigned"]);
        let changed = demo("1.0.0").unsigned();
        fs::write(&changed.library, [fs::read(&one.library).unwrap(), b"more".to_vec()].concat()).unwrap();
        rows.design("install the file that was allowed, changed", user, &install(&home, &changed.library));
    }
    rows.settle();
}

#[test]
fn a123_what_others_can_change_is_not_used() {
    let mut rows = Rows::of(123);
    let parcel = demo("1.0.0");
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for &user in kernel::users() {
        let mut home = Home::of(user);
        set(&home.path().join("keys"), 0o770);
        let [stopped, without] = with_and_without(&mut home, "FileMode", |home| install(home, &parcel.library));
        rows.host("a keyring that the group can change", user, &stopped, "without FileMode", &without);
        for (label, mode) in [("a home that everybody can change", 0o777), ("a home that the group can change", 0o770)]
        {
            let home = Home::of(user);
            set(&home.path(), mode);
            rows.design(label, user, &install(&home, &parcel.library));
            set(&home.path(), 0o700);
        }
        let home = Home::of(user);
        home.ok(&["plugin", "install", parcel.typed(), "--yes"]);
        set(&home.path().join("state"), 0o666);
        rows.design("a state that everybody can change", user, &install(&home, &parcel.library));
        let home = Home::of(user);
        home.ok(&["plugin", "install", parcel.typed(), "--yes"]);
        set(&home.path().join("store"), 0o777);
        rows.design("a store that everybody can change", user, &home.word(["plugin", "verify", "demo"]));
        set(&home.path().join("store"), 0o700);
        fs::write(home.path().join("policy.yaml"), "sandbox: reduced\n").unwrap();
        set(&home.path().join("policy.yaml"), 0o666);
        rows.design("a policy that everybody can change", user, &install(&home, &parcel.library));
        if nix::unistd::geteuid().is_root() {
            let home = Home::of(user);
            let other = if user == User::Root { 1 } else { 0 };
            std::os::unix::fs::chown(home.path().join("keys"), Some(other), Some(other)).unwrap();
            set(&home.path().join("keys"), 0o755);
            rows.design("a keyring of somebody else", user, &install(&home, &parcel.library));
        }
    }
    rows.settle();
}

#[test]
fn a124_a_name_is_the_whole_fingerprint() {
    let mut rows = Rows::of(124);
    let strange = demo("1.0.0").signed(&other_key());
    let (mine, theirs) = (key().public().fingerprint().to_string(), other_key().public().fingerprint().to_string());
    for &user in kernel::users() {
        let home = bare(user);
        home.ok(&["key", "trust", &key().public().to_string(), "--scope", "*", "--label", "Acme Inc."]);
        // A label is a note of this user's: a plugin brings none, and no beginning of a fingerprint stands for one.
        let done = home.run(["plugin", "install", strange.typed()]);
        done.ends(6).says(&[&theirs]).never_says(&["Acme"]);
        home.ok(&["key", "list"]).says(&[&mine, "label    Acme Inc."]);
        for short in [&mine[..16], &mine[..mine.len() - 1], "Acme Inc."] {
            assert_ne!(home.run(["key", "show", short]).code, 0);
            assert_ne!(home.run(["key", "untrust", short]).code, 0);
        }
        rows.design("a key with a known name", user, &install(&home, &strange.library));
    }
    rows.settle();
}
