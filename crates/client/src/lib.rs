#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

// From the bottom up: a module imports only from modules above it in this list.
#[cfg(feature = "http")]
mod runtime;

#[cfg(feature = "http")]
mod error;

#[cfg(feature = "http")]
mod retry;

#[cfg(feature = "http")]
mod environment;

#[cfg(feature = "http")]
mod address;

#[cfg(feature = "http")]
mod claim_key;

#[cfg(feature = "http")]
mod handle;

#[cfg(feature = "http")]
mod interest;

#[cfg(feature = "entra")]
mod entra;

#[cfg(feature = "mock")]
mod mock_limits;
#[cfg(feature = "mock")]
mod mock_server;

#[cfg(feature = "http")]
mod response;

#[cfg(feature = "http")]
mod client;

#[cfg(feature = "http")]
mod outcome;

#[cfg(feature = "http")]
mod log;

#[cfg(feature = "http")]
mod run_permit;

#[cfg(feature = "http")]
mod trust;

#[cfg(feature = "http")]
mod gate;

#[cfg(feature = "http")]
mod action;

#[cfg(feature = "http")]
mod verify;

#[cfg(feature = "http")]
mod wake;

#[cfg(feature = "http")]
mod pending;

#[cfg(feature = "http")]
mod submit;

#[cfg(feature = "http")]
mod settle;

#[cfg(feature = "http")]
mod blocking;

#[cfg(feature = "http")]
mod check;

#[cfg(feature = "http")]
mod scope;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "gated.rs"]
pub mod __gated;

#[cfg(feature = "mock")]
mod mock_callback;

#[cfg(feature = "mock")]
pub mod mock;

#[cfg(feature = "http")]
pub use action::Action;
#[cfg(feature = "entra")]
pub use azure_core::credentials::TokenCredential;
#[cfg(feature = "http")]
pub use client::Client;
#[cfg(feature = "http")]
pub use error::Error;
#[cfg(feature = "http")]
pub use gate::Gate;
#[cfg(feature = "http")]
pub use handle::Handle;
#[cfg(feature = "macros")]
pub use human_oversight_client_macros::approval_gate;
pub use human_oversight_protocol::types;
#[cfg(feature = "receipt")]
pub use human_oversight_protocol::{callback, parameters, permit, receipt};
#[cfg(feature = "http")]
pub use outcome::{Outcome, Reason, Refusal};
#[cfg(feature = "http")]
pub use pending::Pending;
#[cfg(feature = "http")]
pub use run_permit::{Permit, Proof};
#[cfg(feature = "http")]
pub use runtime::{flush, flush_blocking};
#[cfg(feature = "http")]
pub use settle::{Callback, CallbackError};
