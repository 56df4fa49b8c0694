//! Archives, good and hostile, down to single bits.

use super::*;
use crate::code::{Code, Coded as _};
use crate::package::{fixture, open};

/// The uncompressed archive of the fixture and the offsets of its headers.
fn raw() -> (Vec<u8>, Vec<usize>) {
    let archive = zstd::stream::decode_all(packed().as_slice()).unwrap();
    let mut offsets = Vec::new();
    let mut at = 0;
    while archive[at] != 0 {
        offsets.push(at);
        let size = tar::Header::from_byte_slice(&archive[at..at + BLOCK]).entry_size().unwrap();
        at += BLOCK + usize::try_from(size).unwrap().next_multiple_of(BLOCK);
    }
    assert_eq!(archive.len(), at + 2 * BLOCK);
    (archive, offsets)
}

fn packed() -> Vec<u8> {
    fixture::assembled().package(&fixture::signature()).unwrap()
}

/// Changes a header and makes its checksum right again.
fn edited(archive: &[u8], at: usize, edit: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut archive = archive.to_vec();
    edit(&mut archive[at..at + BLOCK]);
    let mut header = tar::Header::from_byte_slice(&archive[at..at + BLOCK]).clone();
    header.set_cksum();
    archive[at..at + BLOCK].copy_from_slice(header.as_bytes());
    archive
}

fn outcome(package: Vec<u8>) -> Result<Vec<Vec<u8>>, PackageError> {
    Ok(open(package)?.into_package()?.files.into_iter().map(|(_, content)| content).collect())
}

fn refused(what: &str, archive: &[u8], code: Code) {
    let error = outcome(compress(archive).unwrap()).expect_err(what);
    assert_eq!(error.code(), code, "{what}: {error}");
}

fn write(field: &mut [u8], text: &[u8]) {
    field.fill(0);
    field[..text.len()].copy_from_slice(text);
}

#[test]
fn packing_is_deterministic_and_comes_back() {
    let package = packed();
    assert_eq!(package, packed());
    let files: Vec<_> = fixture::assembled().files.into_iter().map(|(_, content)| content).collect();
    assert_eq!(outcome(package).unwrap(), files);
    // The form is pinned: a header of another release would not be accepted by this one.
    let mut expected = [0; BLOCK];
    let fields = [
        (0, "a/b"),
        (100, "0000755"),
        (108, "0000000"),
        (116, "0000000"),
        (124, "00000000010"),
        (136, "00000000000"),
        (148, "0006323"),
        (156, "0"),
        (257, "ustar"),
        (263, "00"),
    ];
    for (at, text) in fields {
        expected[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    assert_eq!(*header("a/b", 0o755, 8).unwrap().as_bytes(), expected);
    let long = format!("{}/{}", "a".repeat(80), "b".repeat(80));
    assert_eq!(header(&long, 0o644, 1).unwrap().as_ustar().unwrap().prefix[..81], *[&[b'a'; 80][..], b"\0"].concat());
}

// A126, A127, A128, A135: every type but the plain file, in every place.
#[test]
fn other_entry_types_are_refused() {
    let (archive, offsets) = raw();
    for at in offsets {
        for kind in *b"\x001234567xgLKVSDMN" {
            let bad = edited(&archive, at, |header| header[156] = kind);
            refused(&format!("type {kind:#x} at {at}"), &bad, Code::EntryType);
        }
    }
}

// A125, A129, A136: names, links, owners, modes and times other than the canonical ones.
#[test]
fn other_header_fields_are_refused() {
    let (archive, offsets) = raw();
    let at = offsets[2];
    let names: [&[u8]; 8] = [
        b"../x",
        b"/etc/passwd",
        b"./libhello_world.so",
        b"",
        b"C:\\x",
        b"a\\..\\b",
        b"a/../../x",
        b"libhello_world.so/",
    ];
    for name in names {
        let bad = edited(&archive, at, |header| write(&mut header[..100], name));
        refused(&String::from_utf8_lossy(name), &bad, Code::EntryPath);
    }
    let prefix = edited(&archive, at, |header| write(&mut header[345..500], b".."));
    refused("prefix", &prefix, Code::EntryPath);
    let fields: [(&str, usize, usize, &[u8]); 10] = [
        ("name", 0, 100, b"other.so"),
        ("mode", 100, 8, b"0004755\0"),
        ("mode", 100, 8, b"0000777\0"),
        ("mode", 100, 8, b" 000644\0"),
        ("uid", 108, 8, b"0001750\0"),
        ("mtime", 136, 12, b"00000000001\0"),
        ("linkname", 157, 100, b"../../x"),
        ("magic", 257, 8, b"ustar  \0"),
        ("uname", 265, 32, b"root"),
        ("device", 329, 8, b"0000001\0"),
    ];
    for (name, start, len, text) in fields {
        let bad = edited(&archive, at, |header| write(&mut header[start..start + len], text));
        refused(name, &bad, Code::PackageInvalid);
    }
    let unused = edited(&archive, at, |header| header[511] = 1);
    refused("unused bytes", &unused, Code::PackageInvalid);
    let mut checksum = archive.clone();
    checksum[at + 148] ^= 1;
    refused("checksum", &checksum, Code::PackageInvalid);
}

// A115, A130, A135: entries that are more, fewer, twice, in another order or of another size.
#[test]
fn other_entries_are_refused() {
    let (archive, offsets) = raw();
    let end = archive.len() - 2 * BLOCK;
    let entry = |number: usize| &archive[offsets[number]..*offsets.get(number + 1).unwrap_or(&end)];
    let check = |what: &str, parts: &[&[u8]]| refused(what, &parts.concat(), Code::PackageInvalid);
    let twice = |what: &str, parts: &[&[u8]]| refused(what, &parts.concat(), Code::Duplicate);
    let zeros = [0; 2 * BLOCK];
    let [index, signature, first, second] = [entry(0), entry(1), entry(2), entry(3)];
    twice("a file twice", &[index, signature, first, first, second, &zeros]);
    twice("an extra file", &[index, signature, first, second, second, &zeros]);
    check("a file missing", &[index, signature, first, &zeros]);
    check("another order", &[index, signature, second, first, &zeros]);
    twice("the index twice", &[index, index, signature, first, second, &zeros]);
    twice("the signature twice", &[index, signature, signature, first, second, &zeros]);
    check("no index", &[signature, first, second, &zeros]);
    check("signature first", &[signature, index, first, second, &zeros]);
    check("no end", &[index, signature, first, second]);
    check("half an end", &[index, signature, first, second, &zeros[..BLOCK]]);
    check("a third zero block", &[index, signature, first, second, &zeros, &zeros[..BLOCK]]);
    check("an archive behind the end", &[&archive, &archive]);
    check("a byte behind the end", &[&archive, b"x"]);
    check("nothing", &[]);
    // A PAX header before a file, which readers of extensions would obey.
    let pax = b"30 path=../../../etc/passwd\n";
    let mut extension = header("x", 0o644, u64::try_from(pax.len()).unwrap()).unwrap();
    extension.set_entry_type(tar::EntryType::XHeader);
    extension.set_cksum();
    let mut body = pax.to_vec();
    body.resize(BLOCK, 0);
    let pax = [&extension.as_bytes()[..], &body].concat();
    let parts: [&[&[u8]]; 4] = [
        &[index, signature, &pax, first, second, &zeros],
        &[&pax, index, signature, first, second, &zeros],
        &[index, &pax, signature, first, second, &zeros],
        &[index, signature, first, second, &pax, &zeros],
    ];
    for parts in parts {
        refused("a pax header", &parts.concat(), Code::EntryType);
    }
    let size = edited(&archive, offsets[2], |header| header[134] ^= 1);
    refused("another size", &size, Code::PackageInvalid);
    let mut padding = archive.clone();
    padding[offsets[1] - 1] = 1;
    refused("padding", &padding, Code::PackageInvalid);
    let mut content = archive.clone();
    content[offsets[2] + BLOCK + 100] ^= 1;
    refused("content", &content, Code::ContentMismatch);
    let huge = edited(&archive, 0, |header| write(&mut header[124..136], b"77777777777\0"));
    refused("an index of 8 GiB", &huge, Code::LimitPackage);
    let huge = edited(&archive, offsets[1], |header| write(&mut header[124..136], b"77777777777\0"));
    refused("a signature of 8 GiB", &huge, Code::SignatureMalformed);
}

// A106: without a signature a package opens, so that the verdict can say that there is none.
#[test]
fn an_unsigned_package_opens_without_a_signature() {
    let assembled = fixture::assembled();
    let package = pack_parts(&assembled.package_index.render(), None, None, &assembled.files).unwrap();
    let opened = open(package).unwrap();
    assert_eq!(opened.signature, None);
    assert_eq!(opened.into_package().unwrap().index, assembled.package_index);
}

// A132, A133, A138, A139: one format, one frame, bounded memory.
#[test]
fn other_containers_are_refused() {
    let (archive, _) = raw();
    let check = |what: &str, package: Vec<u8>, code: Code| {
        assert_eq!(outcome(package).expect_err(what).code(), code, "{what}");
    };
    let package = packed();
    check("empty", Vec::new(), Code::PackageFormat);
    check("a plain tar", archive.clone(), Code::PackageFormat);
    check("a zip", b"PK\x03\x04".to_vec(), Code::PackageFormat);
    check("a gzip", b"\x1f\x8b\x08\x00".to_vec(), Code::PackageFormat);
    let skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd";
    check("a skippable frame first", [&skippable[..], &package].concat(), Code::PackageFormat);
    check("a skippable frame last", [&package, &skippable[..]].concat(), Code::PackageFormat);
    check("two frames", [&package[..], &package].concat(), Code::PackageFormat);
    check("a byte behind", [&package[..], b"x"].concat(), Code::PackageFormat);
    let half = archive.len() / 2;
    let split = [compress(&archive[..half]).unwrap(), compress(&archive[half..]).unwrap()].concat();
    check("cut into two frames", split, Code::PackageInvalid);
    let mut large = package.clone();
    large.resize(PACKAGE_MAX + 1, 0);
    check("11 MiB", large, Code::LimitPackage);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&archive).unwrap();
    let error = outcome(encoder.finish().unwrap()).unwrap_err();
    assert!(matches!(error, PackageError::Compression { .. }), "a window of 16 MiB: {error}");
    // 1 GiB of zeros in a small frame, behind a good beginning: refused at the first block that is not expected.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&archive).unwrap();
    for _ in 0..256 {
        encoder.write_all(&vec![0; 4 << 20]).unwrap();
    }
    check("a bomb", encoder.finish().unwrap(), Code::PackageInvalid);
}

// A108: a changed byte is refused or changes nothing.
#[test]
fn a_flipped_byte_is_refused_or_harmless() {
    let package = packed();
    let files: Vec<_> = fixture::assembled().files.into_iter().map(|(_, content)| content).collect();
    let signed = open(package.clone()).unwrap();
    for at in 0..package.len() {
        let mut flipped = package.clone();
        flipped[at] ^= 1 << (at % 8);
        let Ok(opened) = open(flipped) else { continue };
        let same = opened.index_text == signed.index_text && opened.signature == signed.signature;
        if let Ok(package) = opened.into_package() {
            assert!(same && package.files.iter().map(|(_, content)| content).eq(&files), "byte {at}");
        }
    }
    for len in 0..package.len() {
        assert!(outcome(package[..len].to_vec()).is_err(), "{len} bytes");
    }
}

#[test]
fn packing_other_files_than_the_listed_ones_is_refused() {
    let assembled = fixture::assembled();
    let text = assembled.package_index.render();
    let signature = fixture::signature();
    let mut files = assembled.files;
    files.reverse();
    assert_eq!(pack(&text, &signature, &files).unwrap_err().code(), Code::ContentMismatch);
    files.pop();
    assert_eq!(pack(&text, &signature, &files).unwrap_err().code(), Code::ContentMismatch);
}
