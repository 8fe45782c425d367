//! Finds the templates, Terraform plans and backup policies in folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use evaluation::inventory::BackupPolicyFile;
use evaluation::inventory::terraform::TerraformPlan;
use syntax::diagnostic::Diagnostic;
use syntax::template::Template;
use syntax::wildcard;

use crate::input;
use crate::plain::count;

const ENDINGS: [&str; 4] = ["yaml", "yml", "json", "template"];
/// The folder of npm packages, which are not the user's.
const OF_OTHERS: &str = "node_modules";

#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The named files, and the templates in named folders with their texts.
    pub(crate) files: Vec<(PathBuf, Option<String>)>,
    /// Diagnostics of unreadable files and folders, and of files that resemble a template but are invalid.
    pub(crate) skipped: Vec<Diagnostic>,
}

/// A path pattern as in `.gitignore`: without a `/` it matches files and folders of that name at any depth.
#[derive(Clone, Debug)]
pub(crate) struct Exclusion(Vec<String>);

impl Exclusion {
    /// Parses a pattern. `*` matches any text without `/`, `**` any number of folders.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['?', '[', ']', '{', '}', '!']) {
            return Err("`?`, `[]`, `{}` and `!` are not supported; use `*` and `**`".to_owned());
        }
        let parts = text.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned);
        let mut parts: Vec<String> = parts.collect();
        if parts.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        if text.starts_with('/') {
            parts.insert(0, "/".to_owned());
        }
        Ok(Self(parts))
    }

    /// Whether it matches a path, absolute or relative to the named folder.
    pub(crate) fn matches(&self, path: &Path, folder: &Path) -> bool {
        match self.0.as_slice() {
            [name] => path.file_name().is_some_and(|own| wildcard::matches(name, &own.to_string_lossy())),
            pattern => [path, path.strip_prefix(folder).unwrap_or(path)].into_iter().any(|path| {
                let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                is_match(pattern, &parts)
            }),
        }
    }
}

fn is_match(pattern: &[String], path: &[String]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any == "**" => {
            is_match(rest, path) || path.split_first().is_some_and(|(_, inner)| is_match(pattern, inner))
        }
        (Some((own, rest)), Some((name, inner))) => wildcard::matches(own, name) && is_match(rest, inner),
        _ => false,
    }
}

/// Returns the named files, and the CloudFormation templates, Terraform plans and backup policies in the named folders, sorted and each once. Hidden and excluded files are
/// skipped; links to folders are reported and not followed. A named folder without a template is an error.
pub(crate) fn find(paths: &[PathBuf], exclusions: &[Exclusion]) -> anyhow::Result<Files> {
    let mut all = Files::default();
    let mut known = BTreeSet::new();
    // A named file is never skipped, even if a named folder contains it.
    known.extend(paths.iter().filter(|path| !path.is_dir()).map(|path| identity(path)));
    let mut named = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            let Files { files, skipped } = in_folder(path, exclusions, &mut known)?;
            all.files.extend(files);
            all.skipped.extend(skipped);
        } else if named.insert(identity(path)) {
            all.files.push((plain(path), None));
        }
    }
    Ok(all)
}

/// Returns the canonical path, or the path itself if the file does not exist.
pub(crate) fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Returns the path as displayed in findings.
pub(crate) fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).components().collect()
}

fn in_folder(folder: &Path, exclusions: &[Exclusion], known: &mut BTreeSet<PathBuf>) -> anyhow::Result<Files> {
    let (mut all, mut candidates, mut excluded) = (Files::default(), Vec::new(), 0_usize);
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(inner) = waiting.pop() {
        let entries = match entries(&inner) {
            Err(error) if inner == folder => bail!("cannot read the folder `{}`: {error}", folder.display()),
            Err(error) => {
                all.skipped.push(unreadable(&inner, "folder", &error));
                continue;
            }
            Ok(entries) => entries,
        };
        for (path, kind) in entries {
            let fits = may_be_template(&path);
            if exclusions.iter().any(|exclusion| exclusion.matches(&plain(&path), folder)) {
                excluded += usize::from(kind.is_dir() || fits);
            } else if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() && fits {
                candidates.push((false, path));
            } else if kind.is_symlink() {
                match fs::metadata(&path) {
                    Ok(target) if target.is_file() && fits => candidates.push((true, path)),
                    Ok(target) if target.is_dir() => all.skipped.push(linked_folder(&path)),
                    Err(error) if fits => all.skipped.push(unreadable(&path, "file", &error)),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }
    // Regular files come before links to them.
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
            Ok(text) => all.files.extend(text.map(|text| (path, Some(text)))),
            Err(diagnostic) => all.skipped.push(*diagnostic),
        }
    }
    if is_empty && all.files.is_empty() {
        let skipped = all.skipped.first().map(|first| format!("; {first}")).unwrap_or_default();
        let endings = ENDINGS.join(", .");
        let reason = match (found, excluded) {
            (0, 0) => format!("no file ends in .{endings}"),
            (0, _) => format!("--exclude matches every file that ends in .{endings}"),
            _ => format!("{} with the ending .{endings}, but none is a template", count(found, "file")),
        };
        bail!("`{}` has no CloudFormation template: {reason}{skipped}", folder.display());
    }
    Ok(all)
}

/// Returns the entries of a folder without hidden files and npm packages.
fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, fs::FileType)>> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_name() != OF_OTHERS);
    entries.into_iter().map(|entry| Ok((entry.path(), entry.file_type()?))).collect()
}

fn may_be_template(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
}

/// The maximum of source files of a root module of Terraform.
const MOST_SOURCES: usize = 1_000;

/// Returns the names and texts of the `.tf` files in the folder of a Terraform plan; files that cannot be read are left out.
pub(crate) fn terraform_sources(plan: &Path) -> Vec<(String, String)> {
    let folder = plan.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|own| own.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "tf") && path.is_file());
    paths.sort_unstable();
    let read = |path: &PathBuf| {
        let bytes = input::beginning(path).ok()?;
        Some((plain(path).display().to_string(), String::from_utf8(bytes).ok()?))
    };
    paths.iter().take(MOST_SOURCES).filter_map(read).collect()
}

/// Returns the text of a template, Terraform plan or backup policy, `None` for a file of another kind, or the diagnostic of an invalid template.
fn template(path: &Path) -> Result<Option<String>, Box<Diagnostic>> {
    let bytes = input::beginning(path).map_err(|error| Box::new(unreadable(path, "file", &error)))?;
    let name = path.display().to_string();
    if input::looks_like_plan(&bytes) {
        // It may be larger than a template.
        if let Ok(Ok(text)) = input::checked(path)
            && TerraformPlan::is_plan(&text)
        {
            return Ok(Some(text));
        }
    }
    let beginning = String::from_utf8_lossy(&bytes);
    // UTF-16 has no ASCII to recognize a template by.
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if BackupPolicyFile::is_policy(&beginning) {
        return input::decoded(bytes).into_text(&name).map(Some).map_err(|diagnostic| Box::new(skipped(*diagnostic)));
    }
    let diagnostic = if is_utf16 || Template::is_intended(&beginning) {
        let text = input::decoded(bytes).into_text(&name).map_err(|diagnostic| skipped(*diagnostic))?;
        match Template::read_source(&name, &text) {
            Ok(_) => return Ok(Some(text)),
            Err(diagnostics) => diagnostics.into_iter().next(),
        }
    } else if beginning.len() <= Template::MAX {
        Template::syntax_error(&name, &beginning)
    } else {
        None
    };
    diagnostic.map_or(Ok(None), |diagnostic| Err(Box::new(skipped(diagnostic))))
}

fn skipped(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic {
        message: format!("skipped: {}", diagnostic.message),
        help: format!("{}; if it is not a CloudFormation template, exclude it with --exclude", diagnostic.help),
        ..diagnostic
    }
}

/// Reports a link to a folder, which is not followed: it may leave the project or form a cycle.
fn linked_folder(path: &Path) -> Diagnostic {
    let fix = "name its target as an argument too, or exclude it with --exclude";
    Diagnostic::of_file(plain(path).display().to_string(), "skipped: a link to a folder", fix)
}

fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Diagnostic {
    let problem = format!("skipped: the {what} cannot be read: {error}");
    Diagnostic::of_file(plain(path).display().to_string(), problem, "grant read access, or exclude it with --exclude")
}
