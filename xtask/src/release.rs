//! `cargo xtask release`: the files of a release of the command line for one target.
//!
//! The sources are those of a commit, and times, owners, orders and paths are fixed, so that two builds of a commit with the same
//! toolchain have equal files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use sandbox::process;

use crate::{fuzz, tools};

mod pack;

/// The program and its package.
const NAME: &str = "backup-compliance";

/// The version of cargo-cyclonedx, which lists the linked packages.
const CARGO_CYCLONEDX: &str = "0.5.9";

/// Build the files of a release
///
/// Builds the command line at a commit and writes an archive, a Python wheel, a list of the linked packages (CycloneDX) and
/// `SHA256SUMS`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask release                        build the files for this machine in target/release-files
  cargo xtask release --check                build twice in different folders and compare the files
  cargo xtask release --tag v0.1.0           fail unless the version is 0.1.0")]
pub(crate) struct ReleaseArguments {
    /// Folder for the files
    #[arg(long, value_name = "DIR", default_value = "target/release-files")]
    output: PathBuf,
    /// Commit to build
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    commit: String,
    /// Target triple [default: that of this machine]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Tag that the version must have
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Build twice in different folders and compare the files; takes minutes
    #[arg(long)]
    check: bool,
}

/// The files of a release, by their names.
type ReleaseFiles = BTreeMap<String, Vec<u8>>;

/// Writes the files of a release.
///
/// # Errors
/// A build fails, the tag is not that of the version, or two builds differ.
pub(crate) fn run(arguments: &ReleaseArguments) -> Result<()> {
    let root = tools::workspace();
    let commit =
        git(&root, &["rev-parse", "--verify", "--end-of-options", &format!("{}^{{commit}}", arguments.commit)])?;
    let target = arguments.target.clone().map_or_else(|| fuzz::host(&cargo), Ok)?;
    if !git(&root, &["status", "--porcelain"])?.is_empty() {
        println!("note: changes that are not committed are not part of the release");
    }
    let work = root.join("target/release-work");
    let build = |name: &str| Build::new(&root, &work.join(name), &commit, &target)?.files(arguments.tag.as_deref());
    let files = build("first")?;
    if arguments.check {
        // A longer path, so that a path in a file changes its length too.
        compare(&files, &build("second-in-a-longer-folder")?)?;
    }
    let output = root.join(&arguments.output);
    fs::create_dir_all(&output)?;
    for (name, content) in &files {
        let path = output.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
        println!("{}  {name}  {} KiB", pack::sha256(content), content.len().div_ceil(1024));
    }
    Ok(())
}

fn compare(first: &ReleaseFiles, second: &ReleaseFiles) -> Result<()> {
    let different: Vec<&str> = first
        .iter()
        .filter(|(name, content)| second.get(*name) != Some(content))
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(first.len() == second.len() && different.is_empty(), "two builds differ: {}", different.join(", "));
    println!("two builds have {} equal files", first.len());
    Ok(())
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    process::forget_cargo(&mut cargo);
    cargo
}

/// Returns the output of a command.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().with_context(|| format!("cannot run `{shown}`"))?;
    if !ran.status.success() {
        bail!("`{shown}` failed: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(ran.stdout)
}

fn git(root: &Path, args: &[&str]) -> Result<String> {
    Ok(String::from_utf8(output(Command::new("git").arg("-C").arg(root).args(args))?)?.trim().to_owned())
}

/// A build of a commit.
struct Build {
    source: PathBuf,
    target_folder: PathBuf,
    target: String,
    /// The time of the commit, in seconds.
    epoch: u64,
    /// cargo-cyclonedx.
    lister: PathBuf,
}

impl Build {
    /// Exports the commit to a folder.
    fn new(root: &Path, folder: &Path, commit: &str, target: &str) -> Result<Self> {
        let source = folder.join("source");
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        fs::create_dir_all(&source)?;
        let exported = output(Command::new("git").arg("-C").arg(root).args(["archive", "--format=tar", commit]))?;
        tar::Archive::new(exported.as_slice()).unpack(&source).context("cannot export the commit")?;
        let epoch = git(root, &["show", "--no-patch", "--format=%ct", commit])?.parse()?;
        let lister = install_lister(root)?;
        Ok(Self { source, target_folder: folder.join("target"), target: target.to_owned(), epoch, lister })
    }

    fn files(&self, tag: Option<&str>) -> Result<ReleaseFiles> {
        let package = self.package()?;
        let version = package["version"].as_str().context("the package has no version")?;
        if let Some(tag) = tag {
            ensure!(tag == format!("v{version}"), "the tag is `{tag}`, but the version is {version}");
        }
        let program = self.program()?;
        let name = format!("{NAME}-{version}-{}", self.target);
        let read = |path: &str| fs::read(self.source.join(path)).with_context(|| format!("cannot read `{path}`"));
        let suffix = if self.target.contains("windows") { ".exe" } else { "" };
        let entries = [
            pack::Entry::program(format!("{name}/{NAME}{suffix}"), program.clone()),
            pack::Entry::file(format!("{name}/CHANGELOG.md"), read("CHANGELOG.md")?),
            pack::Entry::file(format!("{name}/LICENSE"), read("LICENSE")?),
            pack::Entry::file(format!("{name}/review.py"), read("ci/review.py")?),
        ];
        let wheel = pack::Wheel {
            name: NAME,
            version,
            summary: package["description"].as_str().context("the package has no description")?,
            license: package["license"].as_str().context("the package has no license")?,
            platforms: platforms(&self.target)?,
            program: pack::Entry::program(format!("{NAME}{suffix}"), program),
            license_text: read("LICENSE")?,
            readme: read("README.md")?,
        };
        let mut files = ReleaseFiles::from([
            (format!("{name}.tar.gz"), pack::tar_gz(&entries, self.epoch)?),
            (format!("{name}.cdx.json"), self.packages()?),
            (wheel.file_name(), wheel.content()?),
        ]);
        let sums: String = files.iter().map(|(name, content)| format!("{}  {name}\n", pack::sha256(content))).collect();
        files.insert("SHA256SUMS".to_owned(), sums.into_bytes());
        Ok(files)
    }

    /// A cargo that writes no path of this machine into its output.
    fn cargo(&self) -> Command {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
        let paths = [(&self.source, "source"), (&self.target_folder, "target"), (&home, "cargo")];
        let mut flags: Vec<OsString> = Vec::new();
        let mut c_flags = Vec::new();
        for (path, name) in paths {
            flags.push(format!("--remap-path-prefix={}={name}", path.display()).into());
            c_flags.push(format!("-ffile-prefix-map={}={name}", path.display()));
        }
        if is_static(&self.target) {
            flags.push("-Ctarget-feature=+crt-static".into());
        }
        let mut cargo = cargo();
        cargo.current_dir(&self.source).env("CARGO_TARGET_DIR", &self.target_folder);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}".as_ref()));
        cargo.env("SOURCE_DATE_EPOCH", self.epoch.to_string()).env("ZERO_AR_DATE", "1");
        if !self.target.contains("msvc") {
            cargo.env(format!("CFLAGS_{}", self.target.replace('-', "_")), c_flags.join(" "));
        }
        cargo
    }

    /// `cargo metadata` of the package.
    fn package(&self) -> Result<Value> {
        let metadata = output(self.cargo().args(["metadata", "--no-deps", "--format-version=1", "--locked"]))?;
        let mut metadata: Value = serde_json::from_slice(&metadata)?;
        let packages = metadata["packages"].as_array_mut().context("no packages")?;
        let at = packages.iter().position(|package| package["name"] == NAME).context("no such package")?;
        Ok(packages.swap_remove(at))
    }

    /// Builds the program; returns its content.
    fn program(&self) -> Result<Vec<u8>> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "--locked", "--package", NAME, "--bin", NAME, "--target", &self.target]);
        let status = cargo.status().context("cannot run `cargo`")?;
        ensure!(status.success(), "the build failed: {status}");
        let folder = self.target_folder.join(&self.target).join("release");
        let suffix = if self.target.contains("windows") { ".exe" } else { "" };
        let program = folder.join(format!("{NAME}{suffix}"));
        fs::read(&program).with_context(|| format!("cannot read `{}`", program.display()))
    }

    /// Lists the linked packages as CycloneDX JSON.
    fn packages(&self) -> Result<Vec<u8>> {
        let mut lister = Command::new(&self.lister);
        process::forget_cargo(&mut lister);
        lister.args([
            "cyclonedx",
            "--format",
            "json",
            "--spec-version",
            "1.5",
            "--no-build-deps",
            "--target",
            &self.target,
        ]);
        lister.arg("--manifest-path").arg(self.source.join("cli/Cargo.toml"));
        output(lister.current_dir(&self.source).env("SOURCE_DATE_EPOCH", self.epoch.to_string()))?;
        let text = fs::read_to_string(self.source.join(format!("cli/{NAME}.cdx.json")))?;
        // Packages of the workspace have their paths as identifiers.
        let folder = self.source.display().to_string();
        let text = text.replace(&folder, "");
        serde_json::from_str::<Value>(&text).context("the list of packages is not JSON")?;
        Ok(text.into_bytes())
    }
}

/// Whether the C library is linked into the program, so that it runs on every distribution.
fn is_static(target: &str) -> bool {
    target.ends_with("-linux-gnu") || target.ends_with("-windows-msvc")
}

/// The platforms of a wheel (Python Packaging User Guide, "Platform compatibility tags").
fn platforms(target: &str) -> Result<&'static [&'static str]> {
    Ok(match target {
        // Static programs depend on no C library.
        "x86_64-unknown-linux-gnu" => &["manylinux_2_17_x86_64", "musllinux_1_1_x86_64"],
        "aarch64-unknown-linux-gnu" => &["manylinux_2_17_aarch64", "musllinux_1_1_aarch64"],
        "x86_64-apple-darwin" => &["macosx_10_12_x86_64"],
        "aarch64-apple-darwin" => &["macosx_11_0_arm64"],
        "x86_64-pc-windows-gnu" | "x86_64-pc-windows-msvc" => &["win_amd64"],
        other => bail!("no wheel platform is known for the target `{other}`"),
    })
}

/// Installs cargo-cyclonedx below `target`, once.
fn install_lister(root: &Path) -> Result<PathBuf> {
    let home = root.join("target/tools/release");
    let program = home.join("bin/cargo-cyclonedx");
    let installed = Command::new(&program).args(["cyclonedx", "--version"]).output();
    if !installed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_CYCLONEDX)) {
        println!("installing cargo-cyclonedx {CARGO_CYCLONEDX}");
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "--force", "cargo-cyclonedx", "--version", CARGO_CYCLONEDX]);
        let status = install.arg("--root").arg(&home).current_dir(root).status()?;
        ensure!(status.success(), "cargo-cyclonedx was not installed: {status}");
    }
    Ok(program)
}
