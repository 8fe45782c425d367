//! The templates of a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use domain::fault::Fault;
use domain::policy::wildcard;
use domain::template::Template;

use crate::input;
use crate::plain::{count, number};

const ENDINGS: [&str; 4] = ["yaml", "yml", "json", "template"];
/// What others put there is not the user's.
const OF_OTHERS: &str = "node_modules";

/// A file of the command line.
#[derive(Debug)]
pub(crate) enum File {
    /// The user named it.
    Named(PathBuf),
    /// A template in a folder that the user named, with its text.
    Found(PathBuf, String),
}

/// The files of some paths.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) files: Vec<File>,
    /// Files and folders that cannot be read, and files that look like a template and are not one.
    pub(crate) skipped: Vec<Fault>,
}

/// A pattern of paths, as in `.gitignore`: without a `/` it matches a file or folder of that name at any depth.
#[derive(Clone, Debug)]
pub(crate) struct Exclusion(Vec<String>);

impl Exclusion {
    /// Reads a pattern. `*` stands for any text without `/`, `**` for any number of folders.
    ///
    /// # Errors
    /// When it is empty, or has characters that are patterns elsewhere and not here.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['?', '[', ']', '{', '}', '!']) {
            return Err("only `*` and `**` are patterns; `?`, `[]`, `{}` and `!` are not".to_owned());
        }
        let parts = text.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned);
        let mut parts: Vec<String> = parts.collect();
        if parts.is_empty() {
            return Err("the pattern names no file or folder".to_owned());
        }
        if text.starts_with('/') {
            parts.insert(0, "/".to_owned());
        }
        Ok(Self(parts))
    }

    /// Whether it matches a path, or the same path seen from the folder that the user named.
    fn matches(&self, path: &Path, folder: &Path) -> bool {
        match self.0.as_slice() {
            [name] => path.file_name().is_some_and(|own| wildcard(name, &own.to_string_lossy())),
            pattern => [path, path.strip_prefix(folder).unwrap_or(path)].into_iter().any(|path| {
                let parts: Vec<String> =
                    path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
                is_match(pattern, &parts)
            }),
        }
    }
}

fn is_match(pattern: &[String], path: &[String]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any == "**" => {
            is_match(rest, path) || path.split_first().is_some_and(|(_, behind)| is_match(pattern, behind))
        }
        (Some((own, rest)), Some((name, behind))) => wildcard(own, name) && is_match(rest, behind),
        _ => false,
    }
}

/// The files that are named, and for each folder the CloudFormation templates in it and in its folders, in the order of their names.
/// Hidden and excluded ones are passed over, and links to folders are warned about; a file that is named twice, be it through a link, is
/// there once.
///
/// # Errors
/// When a folder cannot be read, or has no template in it.
pub(crate) fn all(paths: &[PathBuf], exclusions: &[Exclusion]) -> anyhow::Result<Files> {
    let mut all = Files::default();
    let mut known = BTreeSet::new();
    // A file that the user names is never skipped, even if it is in one of the folders as well.
    known.extend(paths.iter().filter(|path| !path.is_dir()).map(|path| identity(path)));
    let mut named = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            let Files { files, skipped } = in_folder(path, exclusions, &mut known)?;
            all.files.extend(files);
            all.skipped.extend(skipped);
        } else if named.insert(identity(path)) {
            all.files.push(File::Named(plain(path)));
        }
    }
    Ok(all)
}

/// The file that a path leads to. Of one that cannot be found, the path.
pub(crate) fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// A path as findings have it.
fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).components().collect()
}

fn in_folder(folder: &Path, exclusions: &[Exclusion], known: &mut BTreeSet<PathBuf>) -> anyhow::Result<Files> {
    let mut all = Files::default();
    let mut candidates = Vec::new();
    let mut excluded = 0_usize;
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(inner) = waiting.pop() {
        match entries(&inner) {
            Ok(entries) => {
                for (path, kind) in entries {
                    if exclusions.iter().any(|exclusion| exclusion.matches(&plain(&path), folder)) {
                        excluded += usize::from(kind.is_dir() || may_be_template(&path));
                        continue;
                    }
                    if kind.is_dir() {
                        waiting.push(path);
                    } else if kind.is_file() && may_be_template(&path) {
                        candidates.push((false, path));
                    } else if kind.is_symlink() {
                        match fs::metadata(&path) {
                            Ok(target) if target.is_file() && may_be_template(&path) => candidates.push((true, path)),
                            Ok(target) if target.is_dir() => all.skipped.push(*linked_folder(&path)),
                            Err(error) if may_be_template(&path) => {
                                all.skipped.push(*unreadable(&path, "file", &error))
                            }
                            Ok(_) | Err(_) => {}
                        }
                    }
                }
            }
            Err(error) if inner == folder => bail!("cannot read the folder `{}`: {error}", folder.display()),
            Err(error) => all.skipped.push(*unreadable(&inner, "folder", &error)),
        }
    }
    // A file that is there itself has its own name, also where a link leads to it.
    candidates.sort_unstable();
    let mut is_empty = true;
    let found = candidates.len();
    for (_, path) in candidates {
        let path = plain(&path);
        if !known.insert(identity(&path)) {
            is_empty = false;
            continue;
        }
        match template(&path) {
            Ok(Some(text)) => {
                is_empty = false;
                all.files.push(File::Found(path, text));
            }
            Ok(None) => {}
            Err(fault) => all.skipped.push(*fault),
        }
    }
    if is_empty {
        let skipped = all.skipped.first().map(|first| format!("; {first}")).unwrap_or_default();
        let endings = ENDINGS.join(", .");
        let reason = match (found, excluded) {
            (0, 0) => format!("no file ends in .{endings}"),
            (0, _) => format!("--exclude leaves out all that end in .{endings}"),
            _ => format!("{} with an ending of .{endings}, and none is a template", count(number(found), "file")),
        };
        bail!("no CloudFormation template is in `{}`: {reason}{skipped}", folder.display());
    }
    Ok(all)
}

/// What is in a folder, without hidden files and what others put there.
fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && name != OF_OTHERS {
            entries.push((entry.path(), entry.file_type()?));
        }
    }
    Ok(entries)
}

fn may_be_template(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
}

/// The text of a file in a folder if it is a template, `None` if it is clearly for another program, and the fault of one that may
/// have been meant as a template.
fn template(path: &Path) -> Result<Option<String>, Box<Fault>> {
    let bytes = input::beginning(path).map_err(|error| unreadable(path, "file", &error))?;
    let name = path.display().to_string();
    let beginning = String::from_utf8_lossy(&bytes);
    // UTF-16 has no ASCII to recognize a template by.
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let fault = if is_utf16 || Template::is_meant(&beginning) {
        let text = input::decoded(bytes).into_text(&name).map_err(|fault| skipped(*fault))?;
        match Template::read_source(&name, &text) {
            Ok(_) => return Ok(Some(text)),
            Err(faults) => faults.into_iter().next(),
        }
    } else if beginning.len() <= Template::MAX {
        Template::syntax_error(&name, &beginning)
    } else {
        None
    };
    fault.map_or(Ok(None), |fault| Err(Box::new(skipped(fault))))
}

fn skipped(fault: Fault) -> Fault {
    Fault {
        problem: format!("skipped: {}", fault.problem),
        fix: format!("{}; if it is not a CloudFormation template, leave it out with --exclude", fault.fix),
        ..fault
    }
}

/// A link to a folder is not followed: it may lead out of the project, or round in a circle.
fn linked_folder(path: &Path) -> Box<Fault> {
    let fix = "name the folder that it leads to as well, or leave it out with --exclude";
    Box::new(Fault::of_file(plain(path).display().to_string(), "skipped: a link to a folder", fix))
}

fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Box<Fault> {
    let problem = format!("skipped: the {what} cannot be read: {error}");
    Box::new(Fault::of_file(plain(path).display().to_string(), problem, "allow it, or leave it out with --exclude"))
}
