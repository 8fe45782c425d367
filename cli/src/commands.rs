//! The commands, a module each.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod evaluate;
pub(crate) mod inventory;
pub(crate) mod invoke;
pub(crate) mod lint;
pub(crate) mod man;
pub(crate) mod notice;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod redrive;
pub(crate) mod status;
pub(crate) mod violations;
