//! The policy as a zip archive, as CI writes it to S3. Pure: the archive is in memory, and only files that are asked for are unpacked.
//!
//! The archive is untrusted input. All of its entries are checked before the first file is read: names that leave the folder, links,
//! encryption, entries that share their data and sizes that no policy has refuse the archive as a whole.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read;

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipFileHeaderRecord, ZipSliceArchive};

use syntax::diagnostic::Diagnostic;
use syntax::text::printable;

use super::ports::RepositoryFile;
use crate::events::OBJECT_KEY;

/// The most bytes of an archive.
pub const LARGEST_ARCHIVE: u64 = 50 * MEGABYTE;

const MEGABYTE: u64 = 1024 * 1024;
const MOST_ENTRIES: usize = 2_000;
/// The most bytes of all files together.
const LARGEST_CONTENT: u64 = 200 * MEGABYTE;
/// Text shrinks to a tenth at best; a bomb of deflate to a thousandth.
const LARGEST_RATIO: u64 = 100;
/// Small files may have any ratio: a file of spaces is not a bomb.
const RATIO_FROM: u64 = MEGABYTE;
/// The kind of a file in its Unix mode, and the kinds of regular files and folders. Other systems store no kind.
const KIND: u32 = 0o170_000;
const REGULAR_KINDS: [u32; 3] = [0, 0o100_000, 0o040_000];

type Refusal = Box<Diagnostic>;

/// A checked archive.
#[derive(Debug)]
pub struct PolicyArchive {
    archive: ZipSliceArchive<Vec<u8>>,
    files: BTreeMap<String, PackedFile>,
}

#[derive(Debug, Clone, Copy)]
struct PackedFile {
    at: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
}

impl PolicyArchive {
    /// Checks an archive.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Box<Diagnostic>> {
        if u64::try_from(bytes.len()).is_ok_and(|size| size > LARGEST_ARCHIVE) {
            return Err(Self::too_large());
        }
        let archive = ZipArchive::from_slice(bytes)
            .map_err(|error| refusal(format!("the object is not a zip archive: {}", error.kind()), MAKE))?;
        let mut files = BTreeMap::new();
        let mut ranges = Vec::new();
        let (mut number, mut content) = (0_usize, 0_u64);
        let mut entries = archive.entries();
        loop {
            let entry = entries.next_entry();
            let entry =
                entry.map_err(|error| refusal(format!("its list of entries is damaged: {}", error.kind()), MAKE))?;
            let Some(entry) = entry else { break };
            number = number.saturating_add(1);
            if number > MOST_ENTRIES {
                let message = format!("the archive has more than {MOST_ENTRIES} entries");
                return Err(refusal(message, "archive the files of the policy only"));
            }
            let name = checked_name(&entry, number)?;
            check_kind(&entry, &name)?;
            content = content.saturating_add(entry.uncompressed_size_hint());
            check_size(&entry, &name, content)?;
            let data = archive.get_entry(entry.wayfinder()).map_err(|error| damaged(&name, &error))?;
            let local = data.local_header();
            if local.file_path().as_bytes() != entry.file_path().as_bytes() || local.flags().is_encrypted() {
                return Err(refusal(
                    format!("the entry `{name}` differs from its entry in the list of the archive"),
                    MAKE,
                ));
            }
            let range = data.compressed_data_range();
            if range.0 < range.1 {
                ranges.push((range, name.clone()));
            }
            let file = PackedFile { at: entry.wayfinder(), method: entry.compression_method() };
            match files.entry(name.trim_end_matches('/').to_owned()) {
                Entry::Vacant(free) => free.insert((!entry.is_dir()).then_some(file)),
                Entry::Occupied(_) => {
                    return Err(refusal(format!("the entry `{name}` is in the archive twice"), "keep one of them"));
                }
            };
        }
        check_overlap(ranges)?;
        let files = files.into_iter().filter_map(|(name, file)| Some((name, file?))).collect();
        Ok(Self { files, archive })
    }

    /// The diagnostic of an archive that is too large to be read.
    pub fn too_large() -> Box<Diagnostic> {
        let message = format!("the archive is larger than {} MB", LARGEST_ARCHIVE / MEGABYTE);
        refusal(message, "archive the files of the policy only")
    }

    /// Unpacks a file, by its path from the root of the archive.
    pub fn file(&self, path: &str) -> RepositoryFile {
        let Some(file) = self.files.get(path) else { return RepositoryFile::Missing };
        if file.at.uncompressed_size_hint() > RepositoryFile::LARGEST {
            return RepositoryFile::TooLarge;
        }
        self.unpacked(path, *file).map_or_else(RepositoryFile::Refused, RepositoryFile::decode)
    }

    /// The paths of its files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    fn unpacked(&self, path: &str, PackedFile { at, method }: PackedFile) -> Result<Vec<u8>, Refusal> {
        let name = printable(path);
        let entry = self.archive.get_entry(at).map_err(|error| damaged(&name, &error))?;
        let decoder: Box<dyn Read + '_> = match method {
            CompressionMethod::STORE => Box::new(entry.data()),
            _ => Box::new(DeflateDecoder::new(entry.data())),
        };
        let mut content = Vec::new();
        // One byte more than declared: the reader verifies size and checksum at the end, and a longer content ends early.
        let limit = at.uncompressed_size_hint().saturating_add(1);
        let read = entry.verifying_reader(decoder).take(limit).read_to_end(&mut content);
        read.map_err(|error| refusal(format!("the entry `{name}` cannot be unpacked: {error}"), MAKE))?;
        Ok(content)
    }
}

const MAKE: &str = "make it with `git archive --format=zip --output policy.zip HEAD`";

fn refusal(message: impl Into<String>, help: &str) -> Refusal {
    Box::new(Diagnostic::of_file(OBJECT_KEY, message, help))
}

fn damaged(name: &str, error: &rawzip::Error) -> Refusal {
    refusal(format!("the entry `{name}` is damaged: {}", error.kind()), MAKE)
}

/// The name of an entry; of a folder with its slash. It is the path of a file below the root, and has one form only.
fn checked_name(entry: &ZipFileHeaderRecord<'_>, number: usize) -> Result<String, Refusal> {
    let path = entry.file_path();
    let Ok(name) = std::str::from_utf8(path.as_bytes()) else {
        return Err(refusal(format!("the name of entry {number} is not UTF-8"), "rename the file"));
    };
    let shown = printable(name);
    let inner = name.strip_suffix('/').unwrap_or(name);
    let fault = if inner.is_empty() {
        return Err(refusal(format!("entry {number} has no name"), MAKE));
    } else if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        "has an absolute path"
    } else if name.contains('\\') {
        "has a backslash in its path"
    } else if name.chars().any(char::is_control) {
        "has a control character in its name"
    } else if inner.split('/').any(|part| part == "..") {
        "leaves the archive with `..`"
    } else if inner.split('/').any(|part| part.is_empty() || part == ".") {
        "has an empty part or `.` in its path"
    } else {
        return Ok(name.to_owned());
    };
    Err(refusal(
        format!("the entry `{shown}` {fault}"),
        "use paths from the root of the repository, such as `frameworks/prod.yaml`",
    ))
}

fn check_kind(entry: &ZipFileHeaderRecord<'_>, name: &str) -> Result<(), Refusal> {
    let name = printable(name);
    let flags = entry.flags();
    let kind = entry.mode().value() & KIND;
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        return Err(refusal(format!("the entry `{name}` is encrypted"), "archive it without a password"));
    }
    if entry.mode().is_symlink() {
        return Err(refusal(format!("the entry `{name}` is a link"), "put the file itself in its place"));
    }
    if !REGULAR_KINDS.contains(&kind) {
        return Err(refusal(format!("the entry `{name}` is neither a file nor a folder"), "remove it"));
    }
    if ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&entry.compression_method()) {
        let message = format!("the entry `{name}` has an unknown compression method");
        return Err(refusal(message, "use the method deflate, the usual one of zip"));
    }
    Ok(())
}

/// Checks the declared size of an entry, and of all entries up to it.
fn check_size(entry: &ZipFileHeaderRecord<'_>, name: &str, content: u64) -> Result<(), Refusal> {
    let (packed, size) = (entry.compressed_size_hint(), entry.uncompressed_size_hint());
    let name = printable(name);
    if size > RATIO_FROM && size > packed.saturating_mul(LARGEST_RATIO) {
        let message =
            format!("the entry `{name}` has {size} bytes and is packed to {packed}, more than {LARGEST_RATIO} to 1");
        return Err(refusal(message, "remove it: no policy needs such a file"));
    }
    if entry.compression_method() == CompressionMethod::STORE && packed != size {
        return Err(refusal(format!("the entry `{name}` is stored with two sizes"), MAKE));
    }
    if content > LARGEST_CONTENT {
        let limit = LARGEST_CONTENT / MEGABYTE;
        let message = format!("with the entry `{name}` the unpacked files have more than {limit} MB");
        return Err(refusal(message, "archive the files of the policy only"));
    }
    Ok(())
}

/// Entries that share their data are how a small archive has a large content.
fn check_overlap(mut ranges: Vec<((u64, u64), String)>) -> Result<(), Refusal> {
    ranges.sort_unstable();
    let shared = ranges.iter().zip(ranges.iter().skip(1)).find(|(((_, end), _), ((start, _), _))| start < end);
    match shared {
        Some(((_, one), (_, other))) => {
            let (one, other) = (printable(one), printable(other));
            Err(refusal(format!("the entries `{one}` and `{other}` share their data"), MAKE))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
