//! The sandbox's programs from PyPI, in virtual environments under `target/tools`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ids;
use crate::process::{self, Guard};

/// Paths of the installed programs.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The root of the workspace.
    pub workspace: PathBuf,
    /// The Python of the cloud's environment, with PyYAML; it also runs the guard.
    pub python: PathBuf,
    /// The AWS emulator of the services that `sam deploy` uses.
    pub ministack: PathBuf,
    /// The AWS emulator of StackSets.
    pub moto_server: PathBuf,
    /// The SAM command line.
    pub sam: PathBuf,
    /// The linter of CloudFormation templates.
    pub cfn_lint: PathBuf,
    /// The builder of Lambda functions; `sam build` needs its directory, [`Tools::bin`], on `PATH`.
    pub cargo_lambda: PathBuf,
    /// The directory of `sam`, `cargo-lambda` and `cfn-lint`.
    pub bin: PathBuf,
}

/// A virtual environment and its pinned requirements.
struct Environment {
    name: &'static str,
    requirements: &'static str,
}

const CLOUD: Environment = Environment { name: "cloud", requirements: include_str!("../tools/cloud.txt") };
const SAM: Environment = Environment { name: "sam", requirements: include_str!("../tools/sam.txt") };
const PYTHON_FUNCTION: Environment =
    Environment { name: "python-function", requirements: include_str!("../tools/python-function.txt") };
const CLOUDFORMATION_VALIDATE: Environment =
    Environment { name: "cloudformation-validate", requirements: include_str!("../tools/cloudformation-validate.txt") };

impl Tools {
    /// Installs missing and outdated environments; `progress` receives a line before each slow step.
    pub fn ensure(workspace: &Path, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let cloud = install(workspace, &CLOUD, progress)?;
        let sam = install(workspace, &SAM, progress)?;
        Ok(Self {
            workspace: workspace.to_owned(),
            python: cloud.join("python3"),
            ministack: cloud.join("ministack"),
            moto_server: cloud.join("moto_server"),
            sam: sam.join("sam"),
            cfn_lint: sam.join("cfn-lint"),
            cargo_lambda: sam.join("cargo-lambda"),
            bin: sam,
        })
    }

    /// Whether all environments are up to date.
    pub fn are_installed(workspace: &Path) -> bool {
        [&CLOUD, &SAM].into_iter().all(|environment| is_current(workspace, environment))
    }

    /// Returns `PATH` with [`Tools::bin`] in front, as `sam build` needs it.
    pub fn path(&self) -> std::ffi::OsString {
        let mut path = self.bin.clone().into_os_string();
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        path
    }
}

/// Installs the environment of the Python function for the cold start benchmark; returns its `python3`.
pub fn ensure_python_function(workspace: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    Ok(install(workspace, &PYTHON_FUNCTION, progress)?.join("python3"))
}

/// Installs the environment of AWS's linter of templates for the benchmark of lint; returns its `python3`.
pub fn ensure_cloudformation_validate(workspace: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    Ok(install(workspace, &CLOUDFORMATION_VALIDATE, progress)?.join("python3"))
}

fn install(workspace: &Path, environment: &Environment, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let tools = workspace.join("target/tools");
    fs::create_dir_all(&tools).with_context(|| format!("create `{}`", tools.display()))?;
    let home = tools.join(environment.name);
    let bin = home.join("bin");
    if is_current(workspace, environment) {
        return Ok(bin);
    }
    let lock = File::create(tools.join(format!("{}.lock", environment.name)))?;
    if lock.try_lock().is_err() {
        progress(&format!("waiting for another process that installs {}", environment.name));
        lock.lock()?;
    }
    // Another process may have installed it during the wait.
    if is_current(workspace, environment) {
        return Ok(bin);
    }
    progress(&format!("installing {}", packages(environment.requirements).join(", ")));
    check_python()?;
    // The guard ends the installation when this process ends.
    let guard = Guard::start(Path::new("python3"), &process::new_id(), None)?;
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&home);
    process::run(&guard, &mut venv, &mut |_| {}).context("create a virtual environment")?;
    let requirements = home.join("requirements.txt");
    fs::write(&requirements, environment.requirements)?;
    let mut pip = Command::new(bin.join("python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]).arg(&requirements);
    process::run(&guard, &mut pip, &mut |_| {})
        .with_context(|| format!("install the packages of `{}`", environment.name))?;
    fs::write(stamp(&home), digest(environment.requirements))?;
    Ok(bin)
}

/// The file with the digest of the installed requirements.
fn stamp(home: &Path) -> PathBuf {
    home.join("requirements.sha256")
}

fn is_current(workspace: &Path, environment: &Environment) -> bool {
    let stamp = stamp(&workspace.join("target/tools").join(environment.name));
    fs::read_to_string(stamp).is_ok_and(|text| text.trim() == digest(environment.requirements))
}

/// Checks that Python can create virtual environments.
///
/// # Errors
/// When Python is missing or too old, with the way to install it.
pub fn check_python() -> Result<()> {
    let version = Command::new("python3").args(["-c", "import sys; print(sys.version_info >= (3, 10))"]).output();
    match version {
        Err(error) => {
            bail!("the local cloud needs `python3`, which cannot be run ({error}): install Python 3.10 or later")
        }
        Ok(output) if String::from_utf8_lossy(&output.stdout).trim() != "True" => {
            bail!("`python3` is too old for the local cloud: install Python 3.10 or later")
        }
        Ok(_) => {}
    }
    let venv = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    if !venv.is_ok_and(|venv| venv.status.success()) {
        bail!(
            "`python3` cannot make virtual environments: install its `venv` module (on Debian and Ubuntu \
             `apt-get install python3-venv`)"
        );
    }
    Ok(())
}

fn packages(requirements: &str) -> Vec<&str> {
    requirements.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

fn digest(requirements: &str) -> String {
    ids::sha256(&packages(requirements).join(
        "\
",
    ))
}

#[cfg(test)]
mod tests;
