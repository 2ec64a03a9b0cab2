//! What the benchmarks share.

pub(crate) mod api;
pub(crate) mod contender;
pub(crate) mod rows;
pub(crate) mod table;
