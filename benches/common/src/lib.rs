//! What the measuring programs share: the machine that the figures belong to, medians, tables.

pub mod machine;
pub mod stats;
pub mod table;
