//! Code that the two demos share. Each demo is one file in `src/bin`.

pub mod github;
pub mod model;
pub mod offline;
pub mod waiting;
