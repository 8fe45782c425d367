//! The programs under test: the functions and the command line, compiled with the development profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use sandbox::app;
use sandbox::process::{self, Guard};

/// Set by `cargo xtask test`, which has built the programs before.
const BUILT: &str = "BACKUP_COMPLIANCE_PROGRAMS_BUILT";

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Builds the programs from the current sources, once in a process.
pub(crate) fn build() {
    static BUILD: Once = Once::new();
    BUILD.call_once(|| {
        if std::env::var_os(BUILT).is_none() {
            let guard = Guard::start(Path::new("python3"), &process::new_id(), None).unwrap();
            app::build_programs(&guard, &workspace(), &mut |_| {}).unwrap();
            assert_eq!(guard.stop(), []);
        }
    });
}

/// A copy of a program in `folder`: the build of another test may replace the original at any time.
pub(crate) fn program(name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    if !program.exists() {
        build();
        fs::create_dir_all(folder).unwrap();
        fs::hard_link(app::program(&workspace(), name), &program).unwrap();
    }
    program
}
