//! Listed attacks by the form of a package. Each is signed by a key that is trusted, so that nothing but its form can stop
//! it, and made as root and as a plain user: it is refused whole, nothing of it is on the disk afterwards, and the memory it
//! took does not depend on what it claims. Where a stock tool does what the archive asks for, the test shows that first.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::process::Command;

use migraine_tests::archive::{Crafted, Entry, MANIFEST, Unpacked, archive_of, compressed, frame, unpacked_size};
use migraine_tests::home::Home;
use migraine_tests::kernel;
use migraine_tests::package::typed;
use migraine_tests::run::User;

/// More than this is not needed to refuse anything, in KiB: the window of the decoder, and some more.
const ROOM: u64 = 16 << 10;

/// A label, a file, and the stable code that it is refused with.
type Attack<'a> = (&'a str, Vec<u8>, &'a str);

/// Installs and verifies each file as every user; nothing may remain of it.
fn refused(attacks: &[Attack<'_>]) {
    for &user in kernel::users() {
        let home = Home::of(user);
        let good = home.write_bytes("good.mgp", &Crafted::good(&[("notes.txt", b"n")]).package());
        let (done, usual) = home.peak(["plugin", "verify", typed(&good)]);
        done.ends(0);
        for (label, bytes, code) in attacks {
            let file = home.write_bytes("bad.mgp", bytes);
            refused_at(&home, user, label, typed(&file), code, usual);
        }
        // The same home takes what is in order.
        home.ok(&["plugin", "install", typed(&good), "--yes"]);
        assert_eq!(home.ok(&["plugin", "crafted", "go"]).out, "gone\n");
    }
}

fn refused_at(home: &Home, user: User, label: &str, file: &str, code: &str, usual: u64) {
    let (before, work) = (home.snapshot(), names(home));
    for verb in [&["plugin", "install", file, "--yes"][..], &["plugin", "verify", file]] {
        let line = [&["--format", "json"], verb].concat();
        let (done, peak) = home.peak(line);
        assert_eq!(done.word(), *code, "{label} as {user}, {verb:?}: {done:?}");
        assert!(done.out.is_empty(), "{label} as {user}: {done:?}");
        assert!(peak < usual + ROOM, "{label} as {user}: {peak} KiB, usual are {usual} KiB");
    }
    assert_eq!(home.snapshot(), before, "{label} as {user}");
    assert_eq!(names(home), work, "{label} as {user}");
}

fn names(home: &Home) -> Vec<String> {
    let listing = fs::read_dir(home.work()).unwrap();
    let mut names: Vec<_> = listing.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn good() -> Crafted {
    Crafted::good(&[("notes.txt", b"n")])
}

/// What stock `tar` made of an archive.
fn stock(entries: &[Entry]) -> Unpacked {
    let unpacked = Unpacked::new();
    unpacked.unpack(&archive_of(entries));
    unpacked
}

// covers: A125, S92
#[test]
fn a125_a_path_stays_inside() {
    let paths: [&[u8]; 12] =
        [b"../x", b"a/../../x", b"/tmp/x", b"C:\\x", b"a\\..\\b", b"", b".", b"..", b"a/", b"./a", b"-rf", b".hidden"];
    let mut attacks = Vec::new();
    for path in paths {
        let name = String::from_utf8_lossy(path).into_owned();
        // Beside what the index lists, and in the place of what it lists.
        attacks.push((format!("one more: {name:?}"), good().then(Entry::file(path, b"x")).package(), "entry_path"));
        let mut crafted = good();
        crafted.entries[0] = Entry::file(path, b"n");
        attacks.push((format!("in its place: {name:?}"), crafted.package(), "entry_path"));
        // And listed, by somebody who signs anything.
        let crafted = Crafted::of(&[("plugin.yaml", MANIFEST.as_bytes()), (&name, b"x")]);
        attacks.push((format!("listed: {name:?}"), crafted.package(), "entry_path"));
    }
    let attacks: Vec<Attack<'_>> =
        attacks.iter().map(|(label, bytes, code)| (label.as_str(), bytes.clone(), *code)).collect();
    refused(&attacks);
    let seen = stock(&[Entry::file(b"../beside/x", b"pwned")]);
    assert_eq!(seen.read("beside/x").as_deref(), Some(&b"pwned"[..]), "stock tar leaves its directory");
    let seen = Unpacked::new();
    let absolute = seen.path("beside/abs");
    seen.unpack(&archive_of(&[Entry::file(typed(&absolute).as_bytes(), b"pwned")]));
    assert!(absolute.exists(), "stock tar writes to absolute paths");
}

// covers: A126
#[test]
fn a126_there_are_no_symbolic_links() {
    let link = |name: &[u8], to: &[u8]| Entry::of_type(b'2', name, to);
    let through = [link(b"out", b"../beside"), Entry::file(b"out/x", b"pwned")];
    let directory = Entry::of_type(b'5', b"notes.txt/", b"").mode(b"0000777");
    let then = |entries: &[Entry]| entries.iter().cloned().fold(good(), Crafted::then).package();
    let mut in_place = good();
    in_place.entries[0] = link(b"notes.txt", b"/etc/passwd");
    refused(&[
        ("to a file", then(&[link(b"a", b"/etc/passwd")]), "entry_type"),
        ("to nothing", then(&[link(b"a", b"nowhere")]), "entry_type"),
        ("to a file of the package", then(&[link(b"a", b"notes.txt")]), "entry_type"),
        ("in the place of a file", in_place.package(), "entry_type"),
        ("and a file through it", then(&through), "entry_type"),
        ("and a directory of its name", then(&[link(b"notes.txt", b"../beside"), directory]), "entry_type"),
        ("before the files", good().before(link(b"notes.txt", b"/etc/passwd")).package(), "entry_type"),
    ]);
    assert_eq!(stock(&through).read("beside/x").as_deref(), Some(&b"pwned"[..]), "stock tar follows the link");
}

// covers: A127
#[test]
fn a127_there_are_no_hard_links() {
    let link = |to: &[u8]| Entry::of_type(b'1', b"hard", to);
    refused(&[
        ("to a file of the system", good().then(link(b"/etc/passwd")).package(), "entry_type"),
        ("out of the directory", good().then(link(b"../../x")).package(), "entry_type"),
        ("to an entry before it", good().then(link(b"notes.txt")).package(), "entry_type"),
        ("to an entry behind it", good().before(link(b"notes.txt")).package(), "entry_type"),
    ]);
    let seen = stock(&[link(b"../secret")]);
    assert_eq!(fs::metadata(seen.path("secret")).unwrap().nlink(), 2, "stock tar links");
}

// covers: A128
#[test]
fn a128_there_are_plain_files_alone() {
    let kinds: [(&str, u8); 13] = [
        ("a character device", b'3'),
        ("a block device", b'4'),
        ("a directory", b'5'),
        ("a FIFO", b'6'),
        ("a contiguous file", b'7'),
        ("an old plain file", 0),
        ("a sparse file", b'S'),
        ("the label of a volume", b'V'),
        ("a file that goes on", b'M'),
        ("a list of names", b'D'),
        ("an old long name", b'N'),
        ("an unknown type", b'Z'),
        ("no type at all", 0xff),
    ];
    let attacks: Vec<Attack<'_>> = kinds
        .iter()
        .flat_map(|(label, kind)| {
            let device = Entry::of_type(*kind, b"notes.txt", b"").field(329, 8, b"0000001").field(337, 8, b"0000003");
            let mut in_place = good();
            in_place.entries[0] = device.clone();
            [(*label, good().then(device).package(), "entry_type"), (*label, in_place.package(), "entry_type")]
        })
        .collect();
    refused(&attacks);
    let seen = stock(&[Entry::of_type(b'6', b"fifo", b""), Entry::of_type(b'Z', b"odd", b"")]);
    assert!(fs::metadata(seen.path("in/fifo")).unwrap().file_type().is_fifo(), "stock tar makes a FIFO");
    assert!(fs::metadata(seen.path("in/odd")).unwrap().is_file(), "stock tar takes an unknown type for a file");
}

// covers: A129
#[test]
fn a129_modes_are_those_of_the_index() {
    let mut attacks = Vec::new();
    for mode in [b"0004755", b"0002755", b"0001755", b"0000777", b"0000755", b"0000600"] {
        let mut crafted = good();
        crafted.entries[0] = Entry::file(b"notes.txt", b"n").mode(mode);
        attacks.push(("in the archive", crafted.package(), "package_invalid"));
    }
    for mode in ["4755", "2755", "1777", "0777", "0600"] {
        let listed = good().reworded("file 0644 1 ", &format!("file {mode} 1 "));
        attacks.push(("in the index", listed.package(), "package_invalid"));
    }
    // A mode that an index may have, of a file that is no program.
    let mut listed = good().reworded("file 0644 1 ", "file 0755 1 ");
    listed.entries[0] = Entry::file(b"notes.txt", b"n").mode(b"0000755");
    attacks.push(("of a text", listed.package(), "content_mismatch"));
    refused(&attacks);
    let seen = stock(&[Entry::file(b"x", b"x").mode(b"0000777")]);
    assert_eq!(fs::metadata(seen.path("in/x")).unwrap().mode() & 0o777, 0o777, "stock tar takes the mode");

    for &user in kernel::users() {
        let home = Home::of(user);
        let file = home.write_bytes("good.mgp", &good().package());
        home.ok(&["plugin", "install", typed(&file), "--yes"]);
        let owner = fs::metadata(home.path()).unwrap().uid();
        let store = home.path().join("store");
        let installed: Vec<_> = home.snapshot().into_keys().filter(|path| path.starts_with(&store)).collect();
        assert!(installed.len() >= 6, "{installed:?}");
        for path in installed {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let most = if metadata.is_dir() { 0o755 } else { 0o444 };
            assert_eq!(metadata.mode() & 0o7777 & !most, 0, "{} as {user}: {:o}", path.display(), metadata.mode());
            assert_eq!(metadata.uid(), owner, "{}", path.display());
        }
    }
}

// covers: A130
#[test]
fn a130_nothing_is_there_twice() {
    let listed = |one: &str, other: &str| {
        Crafted::of(&[("plugin.yaml", MANIFEST.as_bytes()), (one, b"1"), (other, b"2")]).package()
    };
    let again = good().then(Entry::file(b"notes.txt", b"other")).package();
    refused(&[
        ("a file", again, "duplicate"),
        ("the index", good().before(Entry::file(b"index", b"x")).package(), "duplicate"),
        ("the signature", good().before(Entry::file(b"index.sig", b"x")).package(), "duplicate"),
        ("in other letters", good().then(Entry::file(b"NOTES.txt", b"n")).package(), "duplicate"),
        ("listed", listed("m.json", "m.json"), "duplicate"),
        ("listed in other letters", listed("M.json", "m.json"), "duplicate"),
        ("a directory in other letters", listed("A/x.txt", "a/y.txt"), "duplicate"),
        ("a file and a directory", listed("a", "a/y.txt"), "duplicate"),
    ]);
    let seen = stock(&[Entry::file(b"x", b"1"), Entry::file(b"x", b"other")]);
    assert_eq!(seen.read("in/x").as_deref(), Some(&b"other"[..]), "with stock tar the last one wins");
}

// covers: A132
#[test]
fn a132_what_unpacks_is_bounded() {
    const HUGE: u64 = 10 << 30;
    let good = good();
    let bomb = frame(&good.archive(), HUGE, 20);
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    assert_eq!(unpacked_size(&bomb, 256 << 20), 256 << 20, "a decoder without caps goes on");
    let many = good.clone().reworded("file 0644 1 ", "file 0644 67108865 ");
    let endless = good.clone().reworded("file 0644 1 ", "file 0644 18446744073709551615 ");
    let mut claims = good.clone();
    claims.entries[0] = Entry::file(b"notes.txt", b"n").claims(b"77777777777");
    let index = frame(&Entry::file(b"index", b"").claims(b"77777777777").bytes(), HUGE, 20);
    refused(&[
        ("zeros behind the end", bomb, "package_invalid"),
        ("an index that lists too much", many.package(), "limit_package"),
        ("an index that lists more than there is", endless.package(), "limit_package"),
        ("a header that claims 8 GiB", claims.package(), "package_invalid"),
        ("an index of 8 GiB", index, "limit_package"),
        ("a package that is larger than any", vec![0x28; (64 << 20) + 1], "limit_package"),
    ]);
    // An archive in an archive is a file like any other: it is kept as it is.
    for &user in kernel::users() {
        let (home, inner) = (Home::of(user), good.package());
        let file = home.write_bytes("outer.mgp", &Crafted::good(&[("inner.txt", &inner)]).package());
        home.ok(&["plugin", "install", typed(&file), "--yes"]);
        let kept = home.snapshot().into_iter().filter(|(path, _)| path.ends_with("files/inner.txt"));
        assert_eq!(kept.map(|(_, (_, bytes))| bytes).collect::<Vec<_>>(), [inner]);
        assert_eq!(home.snapshot().keys().filter(|path| path.ends_with("notes.txt")).count(), 0);
    }
}

// covers: A133
#[test]
fn a133_claims_allocate_nothing() {
    let four_gib = b"40000000000";
    let pax = Entry::pax(b'x', &[("path", "a")]).claims(four_gib);
    let long = Entry::of_type(b'L', b"././@LongLink", b"").claims(four_gib);
    let first =
        |entry: &Entry| compressed(&archive_of(&[std::slice::from_ref(entry), good().entries.as_slice()].concat()));
    refused(&[
        ("a window of 2 GiB", frame(&good().archive(), 0, 31), "package_invalid"),
        ("a window of 16 MiB", frame(&good().archive(), 0, 24), "package_invalid"),
        ("a pax header first", first(&pax), "limit_package"),
        ("a long name first", first(&long), "limit_package"),
        ("a pax header", good().before(pax).package(), "entry_type"),
        ("a long name", good().before(long).package(), "entry_type"),
    ]);
}

// covers: A134
#[test]
fn a134_there_is_an_end_to_everything() {
    let line = |path: &str| format!("file 0644 1 {} {path}\n", migraine_host::ids::Digest::of(b"x"));
    let with_lines = |lines: &str| {
        let mut crafted = good();
        crafted.index.push_str(lines);
        crafted.package()
    };
    let few: String = (0..300).map(|at| line(&format!("z{at:03}.txt"))).collect();
    let million: String = (0..1_000_000).map(|at| line(&format!("z{at:07}.txt"))).collect();
    let entries = Entry::file(b"x.txt", b"").bytes().repeat(1 << 16);
    let mut archive = good().archive();
    archive.truncate(archive.len() - 1024);
    let flood = (0..16).fold(archive, |archive, _| [archive, entries.clone()].concat());
    refused(&[
        ("300 files", with_lines(&few), "limit_package"),
        ("1 000 000 files", with_lines(&million), "limit_package"),
        ("1 000 000 entries", compressed(&flood), "package_invalid"),
        ("a path of 4 097 bytes", with_lines(&line(&format!("z{}", "a".repeat(4096)))), "entry_path"),
        ("1 000 directories", with_lines(&line(&format!("{}x", "z/".repeat(1000)))), "entry_path"),
    ]);
}

// covers: A135
#[test]
fn a135_readers_cannot_differ() {
    // By its own header 512 bytes, which end where another header begins; by the pax header all of it.
    let smuggled = Entry::file(b"../beside/x", b"pwned").bytes();
    let content = [vec![b'.'; 512], smuggled].concat();
    let sized = Entry::file(b"notes.txt", &content).claims(b"00000001000");
    let pax = Entry::pax(b'x', &[("size", &content.len().to_string())]);
    let long = Entry::of_type(b'L', b"././@LongLink", b"").claims(b"00000000000");
    let global = Entry::pax(b'g', &[("path", "../beside/x")]);
    let mut differs = good();
    differs.entries[0] = sized.clone();
    let then = |entries: &[&Entry]| entries.iter().fold(good(), |made, entry| made.then((*entry).clone())).package();
    refused(&[
        ("two sizes", differs.clone().before(pax.clone()).package(), "entry_type"),
        ("a size that is not the index's", differs.package(), "package_invalid"),
        ("pax, then a long name, then a file", then(&[&pax, &long, &sized]), "entry_type"),
        ("a global header", good().before(global.clone()).package(), "entry_type"),
        ("a global header at the end", then(&[&global]), "entry_type"),
        ("a global header before the index", compressed(&archive_of(&[global])), "entry_type"),
    ]);
    let (by_pax, by_itself) = (stock(&[pax, sized.clone()]), stock(&[sized]));
    assert_eq!(by_pax.read("in/notes.txt").map(|bytes| bytes.len()), Some(content.len()));
    assert_eq!(by_pax.read("beside/x"), None);
    assert!(by_itself.read("beside/x").is_some(), "without the pax header the same bytes hold another file");
}

// covers: A136
#[test]
fn a136_no_extension_renames_an_entry() {
    let renamed = [Entry::pax(b'x', &[("path", "../beside/x")]), Entry::file(b"notes.txt", b"pwned")];
    let linked = [Entry::pax(b'x', &[("linkpath", "../secret")]), Entry::of_type(b'1', b"a", b"notes.txt")];
    let then = |entries: &[Entry; 2]| entries.iter().cloned().fold(good(), Crafted::then).package();
    let before = good().before(renamed[0].clone());
    refused(&[
        ("a path", then(&renamed), "entry_type"),
        ("a path, of a listed file", before.package(), "entry_type"),
        ("the path of a link", then(&linked), "entry_type"),
    ]);
    assert!(stock(&renamed).read("beside/x").is_some(), "stock tar obeys the extension");
}

/// A zip with one file, made by Python.
fn zip() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plugin.yaml"), MANIFEST).unwrap();
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-c", "out.zip", "plugin.yaml"]).current_dir(folder.path());
    assert!(python.status().unwrap().success());
    fs::read(folder.path().join("out.zip")).unwrap()
}

// covers: A138
#[test]
fn a138_a_file_is_one_thing() {
    let package = good().package();
    let two = Crafted::good(&[("plugin.json", b"{\"name\":\"other\",\"version\":\"1.0.0\"}")]);
    let skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd";
    refused(&[
        ("a package and a zip", [&package[..], &zip()].concat(), "format"),
        ("a zip and a package", [zip(), package.clone()].concat(), "format"),
        ("two packages", package.repeat(2), "format"),
        ("a frame that readers skip, first", [&skippable[..], &package].concat(), "format"),
        ("a frame that readers skip, last", [&package[..], skippable].concat(), "format"),
        ("an archive that is not compressed", good().archive(), "format"),
        ("nothing", Vec::new(), "format"),
        ("two manifests", two.package(), "duplicate"),
    ]);
    for &user in kernel::users() {
        let home = Home::of(user);
        for name in ["plugin.tar.gz", "plugin.zip", "plugin"] {
            let file = home.write_bytes(name, &zip());
            refused_at(&home, user, name, typed(&file), "format", 1 << 20);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("both"), [&package[..], &zip()].concat()).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", "import sys, zipfile; sys.exit(not zipfile.is_zipfile('both'))"]).current_dir(folder.path());
    assert!(python.status().unwrap().success(), "for Python it is a zip");
}

// covers: A139
#[test]
fn a139_no_zip_is_a_package() {
    let zip = zip();
    let local = zip.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    refused(&[
        ("whole", zip.clone(), "format"),
        ("without its directory", zip[..local].to_vec(), "format"),
        ("its end alone", zip[zip.len() - 22..].to_vec(), "format"),
        ("compressed once more", compressed(&zip), "package_invalid"),
    ]);
}

// covers: A140
#[test]
fn a140_names_and_versions_are_words() {
    let long = "a".repeat(300);
    let names = ["..", ".", "a/b", "-rf", &long, "CON", "a_b", "d\u{43e}cker", ""];
    let versions = ["1.0.0/../../x", "latest", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-\u{1b}[2J", ""];
    let mut attacks = Vec::new();
    for name in names {
        attacks.push((name, good().reworded("name crafted", &format!("name {name}")).package(), "package_invalid"));
        let manifest = MANIFEST.replacen("crafted", &format!("{name:?}"), 1);
        attacks.push((name, Crafted::of(&[("plugin.yaml", manifest.as_bytes())]).package(), "manifest_invalid"));
    }
    for version in versions {
        let listed = good().reworded("version 1.0.0", &format!("version {version}"));
        attacks.push((version, listed.package(), "package_invalid"));
        let manifest = MANIFEST.replacen("1.0.0", &format!("{version:?}"), 1);
        attacks.push((version, Crafted::of(&[("plugin.yaml", manifest.as_bytes())]).package(), "manifest_invalid"));
    }
    refused(&attacks);
}

// covers: A141
#[test]
fn a141_a_manifest_is_read_in_bounds() {
    let levels: String =
        (1..10).map(|at| format!("a{at}: &a{at} [{}]\n", format!("*a{}, ", at - 1).repeat(10))).collect();
    let aliases = format!("name: demo\nversion: 1.0.0\na0: &a0 [x]\n{levels}");
    let text = |more: &str| format!("name: demo\nversion: 1.0.0\n{more}\n");
    let documents: [(&str, String); 10] = [
        ("plugin.yaml", aliases),
        ("plugin.yaml", text(&format!("x: {}{}", "[".repeat(100_000), "]".repeat(100_000)))),
        ("plugin.yaml", text(&format!("x: {}", "{a: ".repeat(50_000)))),
        ("plugin.yaml", text(&(0..600).map(|at| format!("{}a:\n", " ".repeat(at))).collect::<String>())),
        ("plugin.yaml", text("x: !!python/object/apply:os.system ['id']")),
        ("plugin.yaml", text("b: &b {name: other}\n<<: *b")),
        ("plugin.yaml", "%YAML 1.1\n---\nname: demo\nversion: 1.0.0\n".to_owned()),
        (
            "plugin.json",
            format!("{{\"name\":\"demo\",\"version\":\"1.0.0\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        ("plugin.json", format!("{{\"a\":{}", "{\"a\":".repeat(50_000))),
        ("plugin.json", "{\"name\":\"demo\",\"name\":\"other\",\"version\":\"1.0.0\"}".to_owned()),
    ];
    for &user in kernel::users() {
        let home = Home::of(user);
        let good = home.write_bytes("good.mgp", &good().package());
        let (done, usual) = home.peak(["plugin", "verify", typed(&good)]);
        done.ends(0);
        for (number, (name, document)) in documents.iter().enumerate() {
            let label = format!("document {number}");
            let signed = home.write_bytes("bad.mgp", &Crafted::of(&[(name, document.as_bytes())]).package());
            refused_at(&home, user, &label, typed(&signed), "manifest_invalid", usual);
            let file = home.write(&format!("p{number}/{name}"), document);
            let (before, work) = (home.snapshot(), names(&home));
            for verb in ["install", "info"] {
                assert_eq!(home.word(["plugin", verb, typed(&file)]), "manifest_invalid", "{label} as {user}");
            }
            assert_eq!((home.snapshot(), names(&home)), (before, work), "{label} as {user}");
        }
        let large = home.write("large/plugin.yaml", &text(&format!("# {}", "x".repeat(256 << 10))));
        home.refused(&["plugin", "info", typed(&large)], "limit_package");
        // A manifest has two spellings, and this is none of them.
        let toml = home.write("plugin.toml", "name = \"demo\"\n");
        home.refused(&["plugin", "info", typed(&toml)], "format");
    }
}

// covers: A107
#[test]
fn a107_a_signature_in_a_package_has_one_form() {
    let block = good().block();
    let text = String::from_utf8(block.clone()).unwrap();
    let with = |signature: &[u8]| {
        let mut crafted = good();
        crafted.signature = Some(signature.to_vec());
        crafted.package()
    };
    let (head, hex) = text.trim_end().rsplit_once(' ').unwrap();
    let base64 = format!("{head} {:A<88}\n", "AQID");
    let index = Entry::file(b"index", good().index.as_bytes());
    let huge =
        frame(&[index.bytes(), Entry::file(b"index.sig", b"").claims(b"10000000000").bytes()].concat(), 1 << 30, 20);
    refused(&[
        ("empty", with(b""), "signature_malformed"),
        ("63 bytes", with(format!("{head} {}\n", &hex[2..]).as_bytes()), "signature_malformed"),
        ("65 bytes", with(format!("{head} 00{hex}\n").as_bytes()), "signature_malformed"),
        ("base64", with(base64.as_bytes()), "signature_malformed"),
        ("no digits", with(text.replacen(&hex[..2], "!!", 1).as_bytes()), "signature_malformed"),
        ("two signatures", with(&block.repeat(2)), "signature_malformed"),
        ("1 GiB", huge, "signature_malformed"),
    ]);
    // Beside a library: a file of 1 GiB that takes no room on the disk.
    for &user in kernel::users() {
        let home = Home::of(user);
        let library = home.write_bytes("demo.so", b"\x7fELF");
        let sidecar = fs::File::create(home.write("demo.so.sig", "")).unwrap();
        sidecar.set_len(1 << 30).unwrap();
        let (done, usual) = home.peak(["plugin", "list"]);
        done.ends(0);
        refused_at(&home, user, "1 GiB", typed(&library), "limit_package", usual);
    }
}
