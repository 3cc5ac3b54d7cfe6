//! Secret keys, and what is derived from them: the secrets of approvers, row MACs, receipts.

mod agent_keys;
mod approver_secrets;
mod content_key;
mod function_key;
pub mod keyring;
mod link_keys;
pub mod receipt;
mod row_mac;

pub use agent_keys::AgentKeys;
pub use approver_secrets::FormPurpose;
pub use function_key::FunctionKey;
pub use keyring::{KeyError, NamedKey};
pub use link_keys::LinkKeys;
pub use receipt::ReceiptKeys;
pub use row_mac::RowMacError;
