#!/bin/sh
# Runs the program that belongs to this checkout, for the hooks in .pre-commit-hooks.yaml; builds it the first time.
# (The hooks cannot say `language: rust`: that installs the package in the root folder, and there is a workspace.)
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
program=$root/target/pre-commit/bin/backup-compliance
if ! test -x "$program"; then
    if ! command -v cargo >/dev/null; then
        echo "error: the hook builds backup-compliance once, and cargo is not installed; see https://rustup.rs" >&2
        exit 2
    fi
    echo "building backup-compliance, once; this takes some minutes" >&2
    # In a folder of its own: the hook's user may have set another for their project.
    CARGO_TARGET_DIR=$root/target/pre-commit/build \
        cargo install --quiet --locked --profile tool --path "$root/cli" --root "$root/target/pre-commit" >&2 || exit 2
    rm -rf "$root/target/pre-commit/build"
fi
exec "$program" "$@"
