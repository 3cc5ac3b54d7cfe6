//! What the gate and its clients share: wire types, canonical JSON with its digest, strict JSON, and
//! receipts.
#![warn(missing_docs)]

pub mod operate;
pub mod types;

#[cfg(feature = "receipt")]
pub mod parameters;
#[cfg(feature = "receipt")]
pub mod receipt;
#[cfg(feature = "strict")]
pub mod strict_json;
