//! Values that are valid by construction: addresses, ids, digests, numbers, times.

mod address;
mod allow_list;
mod approval_id;
mod auth_context;
mod decimal;
mod digest;
mod directory_group;
mod glob;
mod owner;
mod person;
mod timestamp;
pub(crate) mod word;

pub use address::{Address, InvalidAddress};
pub use allow_list::{AllowList, AllowListEntry};
pub use approval_id::{ApprovalId, InvalidId, is_plain_name};
pub use auth_context::AuthContext;
pub use decimal::Decimal;
pub use digest::Digest;
pub use directory_group::DirectoryGroup;
pub use glob::glob_matches;
pub use owner::Owner;
pub use person::{People, Person};
pub use timestamp::{Clock, MAX_CLOCK_ERROR, MAX_CLOCK_SKEW, Timestamp};
