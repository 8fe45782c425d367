//! The workspace and the installed programs.

use std::path::{Path, PathBuf};

use anyhow::Result;

use sandbox::tools::Tools;

/// Returns the root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Returns the tools; installs them if necessary, with a message.
pub(crate) fn ensure() -> Result<Tools> {
    Tools::ensure(&workspace(), &mut |line| eprintln!("{line}"))
}
