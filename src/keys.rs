//! Secret keys, and what is derived from them: the secrets of approvers, row MACs, receipts.

mod agent_credential;
mod agent_keys;
mod approver_secrets;
mod content_key;
mod draft_key;
mod function_key;
mod grant;
mod key_life;
pub mod keyring;
mod known_receipts;
mod link_keys;
mod manifest;
mod message_id;
mod page_token;
mod permit;
mod person_hash;
mod random;
pub mod receipt;
mod receipt_keys;
mod row_mac;
mod signed;

pub use agent_credential::AgentCredential;
pub use agent_keys::AgentKeys;
pub use approver_secrets::FormPurpose;
pub use content_key::HashPurpose;
pub use function_key::FunctionKey;
pub use grant::check_grant;
pub use key_life::LifeFault;
pub use keyring::{KeyError, KeyKind, NamedKey};
pub use link_keys::LinkKeys;
pub use message_id::message_group;
pub use permit::check_claim;
pub use random::random_bytes;
pub use receipt_keys::{NoKeyInForce, ReceiptKeys};
pub use row_mac::RowMacError;
