//! What the gate and its clients share: wire types, canonical JSON with its digest, strict JSON,
//! receipts, permits and revocations.
#![warn(missing_docs)]

pub mod operate;
pub mod types;

#[cfg(feature = "receipt")]
mod jws;
#[cfg(feature = "receipt")]
pub mod parameters;
#[cfg(feature = "receipt")]
pub mod permit;
#[cfg(feature = "receipt")]
pub mod receipt;
#[cfg(feature = "receipt")]
pub mod revocation;
#[cfg(feature = "strict")]
pub mod strict_json;
