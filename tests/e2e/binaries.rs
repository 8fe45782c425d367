//! Which program a function is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The program of a function that was built last: by `sam build`, by `cargo lambda build --release`, or by `cargo build`.
///
/// # Panics
/// When none was built; says how to.
fn binary(function: &str) -> PathBuf {
    let mut id = function.to_owned();
    id.get_mut(..1).unwrap().make_ascii_uppercase();
    let target = workspace().join("target");
    let places = [
        target.join(format!("sandbox/build/{id}Function/bootstrap")),
        target.join(format!("lambda/{function}/bootstrap")),
        target.join(format!("debug/{function}")),
    ];
    let built = |path: &PathBuf| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let newest = places.iter().filter_map(|path| Some((built(path)?, path))).max();
    match newest {
        Some((_, path)) => path.clone(),
        None => panic!(
            "the function `{function}` is not built: `cargo lambda build --release`, or `cargo build -p {function}` for a quick \
             look; looked for {places:?}"
        ),
    }
}

/// The program of a function under a name of its own in `folder`: a build that another test starts may replace the program at any
/// time, and holds the lock while it does.
pub(crate) fn program(function: &str, folder: &Path) -> PathBuf {
    let program = folder.join(function);
    if !program.exists() {
        fs::create_dir_all(folder).unwrap();
        let sandbox = workspace().join("target/sandbox");
        fs::create_dir_all(&sandbox).unwrap();
        let lock = File::create(sandbox.join("build.lock")).unwrap();
        lock.lock_shared().unwrap();
        fs::hard_link(binary(function), &program).unwrap();
    }
    program
}
