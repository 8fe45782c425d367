//! What every command needs first: the workspace, and the programs under `target/tools`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use sandbox::tools::Tools;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// The tools, installed if need be; says so when that takes time.
pub(crate) fn ensure() -> Result<Tools> {
    Tools::ensure(&workspace(), &mut |line| eprintln!("{line}"))
}
