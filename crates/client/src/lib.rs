#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub use human_oversight_protocol::types;
#[cfg(feature = "receipt")]
pub use human_oversight_protocol::{parameters, receipt};

#[cfg(feature = "http")]
mod blocking;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod error;
#[cfg(feature = "http")]
mod gate;
#[cfg(feature = "mock")]
pub mod mock;
#[cfg(feature = "http")]
mod outcome;
#[cfg(feature = "http")]
mod pending;
#[cfg(feature = "http")]
mod permit;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "gated.rs"]
pub mod __gated;

#[cfg(feature = "http")]
pub use client::Client;
#[cfg(feature = "http")]
pub use error::Error;
#[cfg(feature = "http")]
pub use gate::{Action, Gate};
#[cfg(feature = "macros")]
pub use human_oversight_client_macros::approval_gate;
#[cfg(feature = "http")]
pub use outcome::{Outcome, Reason, Refusal};
#[cfg(feature = "http")]
pub use pending::{Handle, Pending};
#[cfg(feature = "http")]
pub use permit::Permit;
