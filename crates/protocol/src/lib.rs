//! What the gate and its clients share: wire types, canonical JSON with its digest, strict JSON,
//! receipts and permits.
#![warn(missing_docs)]

pub mod types;

#[cfg(feature = "receipt")]
mod jws;
#[cfg(feature = "receipt")]
pub mod parameters;
#[cfg(feature = "receipt")]
pub mod permit;
#[cfg(feature = "receipt")]
pub mod receipt;
#[cfg(feature = "strict")]
pub mod strict_json;
