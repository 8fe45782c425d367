//! The reviewers of pull and merge requests: `ci/review.py` as `action.yml` and `templates/preview/template.yml` run it, with local
//! stand-ins of the APIs and the command line of this workspace; and the snippets of `docs/ci.md`.

mod action;
mod comments;
mod component;
mod github;
mod gitlab;
mod repository;
#[path = "contract/server.rs"]
#[allow(dead_code, reason = "the contract tests use more of it")]
mod server;
mod snippets;
