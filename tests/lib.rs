//! The tests of the whole system: `contract` (fakes and adapters), `e2e` (the deployed functions), `project` (the repository).
