//! What the measuring programs share: the machine that the figures belong to, medians, tables, aims.

pub mod aims;
pub mod machine;
pub mod stats;
pub mod table;
