//! The size of a function's deployment package.

use std::path::Path;

use anyhow::Context as _;
use tokio::process::Command;

use crate::subject::BenchFunction;

/// The comparison needs Python anyway, and its `zipfile` compresses like other tools.
const SCRIPT: &str = "
import io, os, sys, zipfile
buffer = io.BytesIO()
skipped = ('pip', 'setuptools', '_distutils_hack', 'pkg_resources', '__pycache__')
with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
    for path in sys.argv[1:]:
        if os.path.isfile(path):
            archive.write(path, os.path.basename(path))
        for folder, folders, files in os.walk(path):
            folders[:] = [f for f in folders if f not in skipped and not f.startswith(('pip-', 'setuptools-'))]
            for name in files:
                full = os.path.join(folder, name)
                archive.write(full, os.path.relpath(full, path))
print(buffer.getbuffer().nbytes)
";

/// Returns the size in bytes of a deflated archive of the function's package.
pub(crate) async fn size(python: &Path, subject: &BenchFunction) -> anyhow::Result<u64> {
    let output = Command::new(python).arg("-c").arg(SCRIPT).args(&subject.package).output().await?;
    anyhow::ensure!(output.status.success(), "cannot zip: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("invalid size `{text}`"))
}
