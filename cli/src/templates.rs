//! The templates of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use domain::template::Template;

use crate::input;

const ENDINGS: [&str; 4] = ["yaml", "yml", "json", "template"];
/// What others put there is not the user's.
const OF_OTHERS: &str = "node_modules";

/// The files that are named, and for each folder the CloudFormation templates in it and in its folders, in the order of their names.
/// Hidden ones are passed over, links not followed; a file that is named twice is there once.
///
/// # Errors
/// When a folder cannot be read, or has no template in it.
pub(crate) fn all(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = Vec::new();
    for path in paths {
        let found = if path.is_dir() { in_folder(path)? } else { vec![path.clone()] };
        for path in found {
            let path: PathBuf = path.strip_prefix(".").map_or(path.as_path(), |path| path).components().collect();
            if !all.contains(&path) {
                all.push(path);
            }
        }
    }
    Ok(all)
}

fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        let cannot = || format!("cannot read the folder `{}`", folder.display());
        for entry in fs::read_dir(&folder).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name == OF_OTHERS {
                continue;
            }
            let (kind, path) = (entry.file_type().with_context(cannot)?, entry.path());
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() && is_template(&path)? {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("no CloudFormation template is in `{}`: no file that ends in .{}", folder.display(), ENDINGS.join(", ."));
    }
    found.sort_unstable();
    Ok(found)
}

fn is_template(path: &Path) -> anyhow::Result<bool> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) {
        return Ok(false);
    }
    // One that is not UTF-8 is a template all the same: whoever reads it says what is wrong with the file.
    let beginning = input::beginning(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(Template::is_meant(&String::from_utf8_lossy(&beginning)))
}
