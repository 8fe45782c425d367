//! Stories that ended badly once.
