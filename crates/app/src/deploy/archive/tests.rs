use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;
use rawzip::path::EntryPath;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::{LARGEST_ARCHIVE, MOST_ENTRIES, PolicyArchive};
use crate::deploy::ports::RepositoryFile;

/// One entry of an archive.
#[derive(Clone)]
struct Packed<'a> {
    name: &'a [u8],
    content: Vec<u8>,
    mode: u32,
    stored: bool,
    encrypted: bool,
}

fn file<'a>(name: &'a str, content: &[u8]) -> Packed<'a> {
    Packed { name: name.as_bytes(), content: content.to_vec(), mode: 0o100_644, stored: false, encrypted: false }
}

fn zip(entries: &[Packed<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut out);
    for Packed { name, content, mode, stored, encrypted } in entries {
        let method = if *stored { CompressionMethod::STORE } else { CompressionMethod::DEFLATE };
        let file = archive.new_file(EntryPath::verbatim(*name)).compression_method(method);
        let (mut entry, config) = file.unix_permissions(*mode).encrypted(*encrypted).start().unwrap();
        let descriptor = if *stored {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            writer.finish().unwrap().1
        } else {
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

fn refused(bytes: Vec<u8>) -> String {
    let diagnostic = PolicyArchive::read(bytes).unwrap_err();
    assert_eq!(diagnostic.file, "policy.zip");
    assert!(!diagnostic.help.is_empty(), "{diagnostic}");
    diagnostic.message
}

/// Overwrites every occurrence of a pattern of equal length.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, it)| *it == from).map(|(at, _)| at).collect();
    assert!(!at.is_empty());
    for at in at {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn files_are_unpacked_by_path() {
    let folder = Packed { mode: 0o040_755, stored: true, ..file("frameworks/", b"") };
    let stored = Packed { stored: true, ..file("frameworks/prod.yaml", "ü: ✓\n".as_bytes()) };
    let large = vec![b'#'; 6 * 1024 * 1024 + 1];
    let binary = file("binary.yaml", b"a: 1\nb: \xff\xfe");
    // Noise does not shrink, so that the ratio is that of text.
    let noise: Vec<u8> = large.iter().enumerate().map(|(at, _)| (at * at % 251) as u8 & 0x7f).collect();
    let too_large = Packed { stored: true, ..file("too-large.yaml", &noise) };
    let archive =
        PolicyArchive::read(zip(&[folder, file("policy.yaml", b"version: 1\n"), stored, binary, too_large])).unwrap();
    assert_eq!(archive.file("policy.yaml"), RepositoryFile::Text("version: 1\n".to_owned()));
    assert_eq!(archive.file("frameworks/prod.yaml"), RepositoryFile::Text("ü: ✓\n".to_owned()));
    assert!(matches!(archive.file("binary.yaml"), RepositoryFile::NotUtf8(_)));
    assert_eq!(archive.file("too-large.yaml"), RepositoryFile::TooLarge);
    for absent in
        ["none.yaml", "frameworks", "frameworks/", "policy.yaml/x", "Policy.yaml", "/policy.yaml", "./policy.yaml", ""]
    {
        assert_eq!(archive.file(absent), RepositoryFile::Missing, "{absent}");
    }
    assert_eq!(
        Vec::from_iter(archive.paths()),
        ["binary.yaml", "frameworks/prod.yaml", "policy.yaml", "too-large.yaml"]
    );
}

#[test]
fn unsafe_names_are_refused_with_the_entry() {
    for (name, fault) in [
        ("../policy.yaml", "`../policy.yaml` leaves the archive with `..`"),
        ("a/../../b", "`a/../../b` leaves the archive"),
        ("..", "`..` leaves the archive"),
        ("/etc/passwd", "`/etc/passwd` has an absolute path"),
        ("C:/policy.yaml", "`C:/policy.yaml` has an absolute path"),
        ("a\\b.yaml", "has a backslash"),
        ("a//b.yaml", "`a//b.yaml` has an empty part"),
        ("./b.yaml", "`./b.yaml` has an empty part or `.`"),
        ("a\nb", "`a\\nb` has a control character"),
        ("a\0.yaml", "has a control character"),
        ("/", "entry 2 has no name"),
    ] {
        let message = refused(zip(&[file("policy.yaml", b""), file(name, b"x")]));
        assert!(message.contains(fault), "{name:?}: {message}");
    }
    let message = refused(zip(&[Packed { name: b"\xff.yaml", ..file("", b"x") }]));
    assert_eq!(message, "the name of entry 1 is not UTF-8");
}

#[test]
fn links_and_special_files_are_refused() {
    let message = refused(zip(&[Packed { mode: 0o120_777, ..file("link.yaml", b"/etc/passwd") }]));
    assert_eq!(message, "the entry `link.yaml` is a link");
    for kind in [0o010_644, 0o020_644, 0o060_644, 0o140_644] {
        let message = refused(zip(&[Packed { mode: kind, ..file("pipe", b"") }]));
        assert_eq!(message, "the entry `pipe` is neither a file nor a folder");
    }
}

#[test]
fn encrypted_entry_and_unknown_method_are_refused() {
    let message = refused(zip(&[Packed { encrypted: true, ..file("secret.yaml", b"x") }]));
    assert_eq!(message, "the entry `secret.yaml` is encrypted");
    // Byte 10 of an entry of the list is its method.
    let mut other = zip(&[file("a.yaml", b"x")]);
    let at = other.windows(4).position(|found| found == b"PK\x01\x02").unwrap();
    other[at + 10] = 12;
    assert_eq!(refused(other), "the entry `a.yaml` has an unknown compression method");
}

#[test]
fn repeated_names_are_refused() {
    let message = refused(zip(&[file("a.yaml", b"1"), file("b.yaml", b"2"), file("a.yaml", b"3")]));
    assert_eq!(message, "the entry `a.yaml` is in the archive twice");
    let message = refused(zip(&[file("a", b"1"), Packed { mode: 0o040_755, ..file("a/", b"") }]));
    assert_eq!(message, "the entry `a/` is in the archive twice");
}

#[test]
fn entry_must_agree_with_the_list() {
    let bytes = zip(&[file("good.yaml", b"version: 1\n")]);
    let list = bytes.windows(4).position(|found| found == b"PK\x01\x02").unwrap();
    let (entries, rest) = bytes.split_at(list);
    let other = [replaced(entries.to_vec(), b"good.yaml", b"evil.yaml"), rest.to_vec()].concat();
    assert!(refused(other).contains("`good.yaml` differs from its entry"));
    // A wrong checksum is found when the file is read.
    let text = b"stored text";
    let bytes = replaced(zip(&[Packed { stored: true, ..file("a.yaml", text) }]), text, b"edited text");
    let read = PolicyArchive::read(bytes).unwrap().file("a.yaml");
    let RepositoryFile::Refused(diagnostic) = read else { panic!("{read:?}") };
    assert!(diagnostic.message.starts_with("the entry `a.yaml` cannot be unpacked: "), "{diagnostic}");
}

#[test]
fn too_many_entries_are_refused() {
    let names: Vec<String> = (0..=MOST_ENTRIES).map(|number| format!("{number}.yaml")).collect();
    let files: Vec<Packed<'_>> = names.iter().map(|name| file(name, b"")).collect();
    assert_eq!(refused(zip(&files)), "the archive has more than 2000 entries");
    assert!(PolicyArchive::read(zip(files.get(1..).unwrap())).is_ok());
}

#[test]
fn bombs_are_refused_before_they_are_unpacked() {
    let message = refused(zip(&[file("bomb.yaml", &vec![b' '; 3 * 1024 * 1024])]));
    assert!(message.starts_with("the entry `bomb.yaml` has 3145728 bytes and is packed to "), "{message}");
    // A small file may have any ratio.
    assert!(PolicyArchive::read(zip(&[file("spaces.yaml", &vec![b' '; 1024 * 1024])])).is_ok());
    // Bytes 24 to 27 of an entry of the list are its size: a size that is declared too small or too large.
    for (declared, expected) in [(10_u32, "cannot be unpacked: Invalid size"), (90, "cannot be unpacked")] {
        let mut lie = zip(&[file("lie.yaml", &[b'x'; 50])]);
        let at = lie.windows(4).position(|found| found == b"PK\x01\x02").unwrap();
        lie[at + 24..at + 28].copy_from_slice(&declared.to_le_bytes());
        let read = PolicyArchive::read(lie).unwrap().file("lie.yaml");
        let RepositoryFile::Refused(diagnostic) = read else { panic!("{read:?}") };
        assert!(diagnostic.message.contains("`lie.yaml`") && diagnostic.message.contains(expected), "{diagnostic}");
    }
}

#[test]
fn large_content_and_large_archive_are_refused() {
    // Declared sizes count before anything is unpacked.
    let names: Vec<String> = (0..300).map(|number| format!("{number}.yaml")).collect();
    let content = vec![b' '; 1024 * 1024];
    let files: Vec<Packed<'_>> = names.iter().map(|name| file(name, &content)).collect();
    assert_eq!(refused(zip(&files)), "with the entry `200.yaml` the unpacked files have more than 200 MB");
    let large = vec![0; usize::try_from(LARGEST_ARCHIVE).unwrap() + 1];
    assert_eq!(refused(large), "the archive is larger than 50 MB");
}

#[test]
fn entries_that_share_data_are_refused() {
    let mut bytes = zip(&[file("a.yaml", b"same"), file("b.yaml", b"same")]);
    // The second entry of the list is made to point to the first: bytes 42 to 45 are its offset. Both have one name in front of
    // their data, so the first is renamed too.
    let at: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, it)| *it == b"PK\x01\x02").map(|(at, _)| at).collect();
    bytes[at[1] + 42..at[1] + 46].copy_from_slice(&0_u32.to_le_bytes());
    let message = refused(bytes);
    assert!(message.contains("`b.yaml` differs from its entry"), "{message}");
    let shared =
        vec![((30, 90), "a.yaml".to_owned()), ((90, 95), "c.yaml".to_owned()), ((80, 85), "b.yaml".to_owned())];
    let diagnostic = super::check_overlap(shared).unwrap_err();
    assert_eq!(diagnostic.message, "the entries `a.yaml` and `b.yaml` share their data");
    let apart = vec![((30, 90), "a.yaml".to_owned()), ((90, 95), "c.yaml".to_owned())];
    assert!(super::check_overlap(apart).is_ok());
}

#[test]
fn other_objects_are_refused() {
    for other in [&b""[..], b"version: 1\n", b"PK\x03\x04", b"PK\x05\x06"] {
        assert!(refused(other.to_vec()).starts_with("the object is not a zip archive: "), "{other:?}");
    }
}

proptest! {
    /// Whatever is packed is unpacked, and a cut archive is refused or has the same files.
    #[test]
    fn packed_files_are_unpacked_unchanged(
        files in prop::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8}){0,2}\\.yaml", "\\PC{0,200}", 1..8),
        stored: bool,
        cut in 0_usize..400,
    ) {
        let packed: Vec<Packed<'_>> =
            files.iter().map(|(name, text)| Packed { stored, ..file(name, text.as_bytes()) }).collect();
        let bytes = zip(&packed);
        let archive = PolicyArchive::read(bytes.clone()).unwrap();
        for (name, text) in &files {
            prop_assert_eq!(archive.file(name), RepositoryFile::Text(text.clone()));
        }
        let short = bytes.get(..bytes.len().saturating_sub(cut)).unwrap_or_default().to_vec();
        if let Ok(archive) = PolicyArchive::read(short) {
            for name in archive.paths() {
                let file = archive.file(name);
                prop_assert!(matches!(file, RepositoryFile::Refused(_)) || file == RepositoryFile::Text(files[name].clone()));
            }
        }
    }
}
