//! What the gate and its clients share: wire types, canonical JSON with its digest, strict JSON,
//! receipts, permits, grants, revocations, manifests and callbacks.
#![warn(missing_docs)]

pub mod operate;
pub mod text;
pub mod types;

#[cfg(feature = "receipt")]
pub mod callback;
#[cfg(any(feature = "receipt", feature = "strict"))]
mod decimal;
#[cfg(feature = "receipt")]
pub mod grant;
#[cfg(feature = "receipt")]
pub mod jws;
#[cfg(feature = "receipt")]
pub mod manifest;
#[cfg(feature = "receipt")]
pub mod parameters;
#[cfg(feature = "receipt")]
pub mod permit;
#[cfg(feature = "receipt")]
pub mod receipt;
#[cfg(feature = "receipt")]
pub mod revocation;
#[cfg(feature = "receipt")]
pub mod signing_key;
#[cfg(feature = "strict")]
pub mod strict_json;
#[cfg(feature = "receipt")]
pub mod vote;

/// The largest whole number that every JSON parser reads as itself: 2^53 - 1. Beyond it, two integers can be
/// the same double (RFC 8259, section 6).
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The maximum nesting of objects and arrays below the top of a body.
pub const MAX_DEPTH: usize = 64;
