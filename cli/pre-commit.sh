#!/bin/sh
# Runs the command line of this checkout for the hooks in .pre-commit-hooks.yaml; builds it the first time.
# The hooks cannot use `language: rust`, which installs the package in the root folder: the root is a workspace.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
program=$root/target/pre-commit/bin/backup-compliance
if ! test -x "$program"; then
    if ! command -v cargo >/dev/null; then
        echo "error: the hook needs cargo to build backup-compliance: install it from https://rustup.rs" >&2
        exit 2
    fi
    echo "building backup-compliance for the first run, which takes some minutes" >&2
    # The user may have set CARGO_TARGET_DIR for another project.
    CARGO_TARGET_DIR=$root/target/pre-commit/build \
        cargo install --quiet --locked --profile tool --path "$root/cli" --root "$root/target/pre-commit" >&2 || exit 2
    rm -rf "$root/target/pre-commit/build"
fi
exec "$program" "$@"
