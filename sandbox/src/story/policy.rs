//! The policy repository of the story: a checkout for edits, commits and pushes with git.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The author of the commits.
pub const AUTHOR: &str = "Grace Okafor";
const EMAIL: &str = "grace@example.com";

/// A checkout of the policy repository.
#[derive(Debug)]
pub struct Checkout {
    directory: PathBuf,
}

impl Checkout {
    /// Creates a checkout with this repository as its origin.
    pub fn new(directory: &Path, origin: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let checkout = Self { directory: directory.to_owned() };
        checkout.git(&["init", "--quiet", "--initial-branch=main"])?;
        checkout.git(&["remote", "add", "origin", &origin.to_string_lossy()])?;
        Ok(checkout)
    }

    /// Returns the directory of the checkout.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes files without a commit.
    pub fn edit(&self, files: &[(&str, &str)]) -> Result<()> {
        for (name, content) in files {
            std::fs::write(self.directory.join(name), content)?;
        }
        Ok(())
    }

    /// Writes files, commits and pushes; returns the commit.
    pub fn push(&self, message: &str, files: &[(&str, &str)]) -> Result<String> {
        self.push_to("main", message, files)
    }

    /// Writes files, commits on top of `main` and pushes to another branch; returns the commit.
    pub fn push_to(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> Result<String> {
        let commit = self.commit(message, files)?;
        self.git(&["push", "--quiet", "origin", &format!("main:{branch}")])?;
        Ok(commit)
    }

    /// Writes files and commits; returns the commit and its zip archive.
    pub fn archive(&self, message: &str, files: &[(&str, &str)]) -> Result<(String, Vec<u8>)> {
        let commit = self.commit(message, files)?;
        self.git(&["archive", "--format=zip", "--output=../policy.zip", &commit])?;
        Ok((commit, std::fs::read(self.directory.join("../policy.zip"))?))
    }

    fn commit(&self, message: &str, files: &[(&str, &str)]) -> Result<String> {
        self.edit(files)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.directory)
            // The story must not depend on the user's git configuration.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", AUTHOR)
            .env("GIT_AUTHOR_EMAIL", EMAIL)
            .env("GIT_COMMITTER_NAME", AUTHOR)
            .env("GIT_COMMITTER_EMAIL", EMAIL)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .output()
            .context("the story needs `git`, which cannot be run")?;
        if !output.status.success() {
            bail!("`git {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
