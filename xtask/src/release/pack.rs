//! Archives with fixed times, owners and orders.

use std::io::Write as _;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc, GzBuilder};
use sha2::{Digest as _, Sha256};

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    path: String,
    mode: u32,
    content: Vec<u8>,
}

impl Entry {
    pub(super) fn file(path: String, content: Vec<u8>) -> Self {
        Self { path, mode: 0o644, content }
    }

    pub(super) fn program(path: String, content: Vec<u8>) -> Self {
        Self { path, mode: 0o755, content }
    }
}

/// Returns the SHA-256 in hexadecimal digits.
pub(super) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Packs entries; `epoch` is their time.
///
/// # Errors
/// A path is too long for a tar archive.
pub(super) fn tar_gz(entries: &[Entry], epoch: u64) -> Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_path(&entry.path)?;
        header.set_mode(entry.mode);
        header.set_mtime(epoch);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        tar.append(&header, entry.content.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// A wheel that installs one program (Python Packaging User Guide, "Binary distribution format").
#[derive(Debug)]
pub(super) struct Wheel<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) summary: &'a str,
    /// An SPDX expression.
    pub(super) license: &'a str,
    pub(super) platforms: &'a [&'a str],
    /// Its path is the name of the command.
    pub(super) program: Entry,
    pub(super) license_text: Vec<u8>,
    pub(super) readme: Vec<u8>,
}

impl Wheel<'_> {
    fn stem(&self) -> String {
        format!("{}-{}", self.name.replace('-', "_"), self.version)
    }

    pub(super) fn file_name(&self) -> String {
        format!("{}-py3-none-{}.whl", self.stem(), self.platforms.join("."))
    }

    fn metadata(&self) -> Vec<u8> {
        let Self { name, version, summary, license, .. } = self;
        let head = format!(
            "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nSummary: {summary}\nLicense-Expression: {license}\n\
             License-File: LICENSE\nRequires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n"
        );
        [head.as_bytes(), &self.readme].concat()
    }

    /// Packs the wheel.
    ///
    /// # Errors
    /// An entry has more than 4 GiB.
    pub(super) fn content(&self) -> Result<Vec<u8>> {
        let stem = self.stem();
        let info = format!("{stem}.dist-info");
        let tags: String = self.platforms.iter().map(|platform| format!("Tag: py3-none-{platform}\n")).collect();
        let wheel = format!("Wheel-Version: 1.0\nGenerator: xtask ({})\nRoot-Is-Purelib: false\n{tags}", self.version);
        let mut entries = vec![
            Entry { path: format!("{stem}.data/scripts/{}", self.program.path), ..self.program.clone() },
            Entry::file(format!("{info}/licenses/LICENSE"), self.license_text.clone()),
            Entry::file(format!("{info}/METADATA"), self.metadata()),
            Entry::file(format!("{info}/WHEEL"), wheel.into_bytes()),
        ];
        let row = |entry: &Entry| {
            let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&entry.content));
            format!("{},sha256={hash},{}\n", entry.path, entry.content.len())
        };
        let record = entries.iter().map(row).collect::<String>() + &format!("{info}/RECORD,,\n");
        entries.push(Entry::file(format!("{info}/RECORD"), record.into_bytes()));
        zip(&entries)
    }
}

/// The first day that a zip archive can name, 1 January 1980.
const ZIP_DAY: u16 = (1 << 5) | 1;

/// Packs entries without their times (APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16). The package `zip` would turn on features
/// of packages that the functions link, and with them a second build of the AWS SDK.
fn zip(entries: &[Entry]) -> Result<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&entry.content)?;
        let packed = encoder.finish()?;
        let mut crc = Crc::new();
        crc.update(&entry.content);
        // Version 2.0, no flags, deflated, time and day; then hash, sizes, length of the name, no extra field.
        let mut header: Vec<u8> = [20_u16, 0, 8, 0, ZIP_DAY].into_iter().flat_map(u16::to_le_bytes).collect();
        for number in [crc.sum(), u32::try_from(packed.len())?, u32::try_from(entry.content.len())?] {
            header.extend(number.to_le_bytes());
        }
        header.extend(u16::try_from(entry.path.len())?.to_le_bytes());
        header.extend([0; 2]);
        let offset = u32::try_from(out.len())?;
        out.extend(b"PK\x03\x04".iter().chain(&header).chain(entry.path.as_bytes()).chain(&packed));
        // Made on Unix, so that the mode counts. No comment, first disk, no internal attributes.
        directory.extend(b"PK\x01\x02\x14\x03".iter().chain(&header).chain(&[0; 6]));
        directory.extend(((0o100_000 | entry.mode) << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes().iter().chain(entry.path.as_bytes()));
    }
    let count = u16::try_from(entries.len())?.to_le_bytes();
    let place = [u32::try_from(directory.len())?, u32::try_from(out.len())?].map(u32::to_le_bytes).concat();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0".iter().chain(&count).chain(&count).chain(&place).chain(&[0; 2]));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::*;

    fn wheel() -> Wheel<'static> {
        Wheel {
            name: "backup-compliance",
            version: "1.2.3",
            summary: "A program",
            license: "Apache-2.0",
            platforms: &["manylinux_2_17_x86_64", "musllinux_1_1_x86_64"],
            program: Entry::program("backup-compliance".to_owned(), b"#!/bin/sh\n".to_vec()),
            license_text: b"license".to_vec(),
            readme: b"# Readme\n".to_vec(),
        }
    }

    /// Reads a zip archive with Python, as pip does: path, mode, content.
    const READER: &str = "import sys, zipfile, json\nwith zipfile.ZipFile(sys.argv[1]) as zip:\n    assert zip.testzip() is None\n    \
        print(json.dumps({i.filename: [i.external_attr >> 16, zip.read(i).decode()] for i in zip.infolist()}))";

    #[test]
    fn wheel_record_lists_each_file_with_its_hash() {
        let content = wheel().content().unwrap();
        assert_eq!(content, wheel().content().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.whl");
        std::fs::write(&path, content).unwrap();
        let ran = Command::new("python3").args(["-c", READER]).arg(&path).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let files: BTreeMap<String, (u32, String)> = serde_json::from_slice(&ran.stdout).unwrap();
        let info = "backup_compliance-1.2.3.dist-info";
        let record = &files[&format!("{info}/RECORD")].1;
        assert_eq!(record.lines().count(), files.len());
        for row in record.lines().filter(|row| !row.ends_with("RECORD,,")) {
            let [path, hash, size] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let (_, content) = &files[path];
            assert_eq!(hash, format!("sha256={}", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(content))));
            assert_eq!(size, content.len().to_string());
        }
        assert_eq!(
            files["backup_compliance-1.2.3.data/scripts/backup-compliance"],
            (0o100_755, "#!/bin/sh\n".to_owned())
        );
        let name = "backup_compliance-1.2.3-py3-none-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl";
        assert_eq!(wheel().file_name(), name);
    }

    #[test]
    fn archive_has_fixed_times_and_owners() {
        let entries = [
            Entry::program("a-1/a".to_owned(), b"program".to_vec()),
            Entry::file("a-1/LICENSE".to_owned(), b"license".to_vec()),
        ];
        let packed = tar_gz(&entries, 1_700_000_000).unwrap();
        assert_eq!(packed, tar_gz(&entries, 1_700_000_000).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let found: Vec<(String, u32, u64, u64)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                (path, header.mode().unwrap(), header.mtime().unwrap(), header.uid().unwrap())
            })
            .collect();
        let expected = [("a-1/a", 0o755), ("a-1/LICENSE", 0o644)];
        assert_eq!(found, expected.map(|(path, mode)| (path.to_owned(), mode, 1_700_000_000, 0)));
    }
}
