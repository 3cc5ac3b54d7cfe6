use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use human_oversight_protocol::types::KeySet;

use crate::client::Client;
use crate::error::Error;

/// A gate as an agent uses it. Cheap to clone; the front page has an example.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(crate) client: Client,
    pub(crate) trusted: Option<KeySet>,
    /// The keys that the gate published when it was last asked.
    published: Arc<Mutex<KeySet>>,
    pub(crate) agent: String,
    pub(crate) approvers: Vec<String>,
}

impl Gate {
    /// A gate reached through `client`.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            trusted: None,
            published: Arc::default(),
            agent: "agent".to_owned(),
            approvers: Vec::new(),
        }
    }

    /// The gate that the environment names: `HO_URL`, `HO_KEY` (the Functions key; optional) and
    /// `APPROVER_EMAILS` (comma-separated; optional).
    ///
    /// # Errors
    /// When `HO_URL` is missing or not an absolute address.
    pub fn from_env() -> Result<Self, Error> {
        let setting = |name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let url = setting("HO_URL").ok_or_else(|| {
            Error::Settings("HO_URL is not set: it must be the gate's address".to_owned())
        })?;
        let gate = Self::new(Client::new(url.trim(), setting("HO_KEY").as_deref())?);
        Ok(match setting("APPROVER_EMAILS") {
            Some(list) => gate.approvers(list.split(',').map(str::trim).filter(|a| !a.is_empty())),
            None => gate,
        })
    }

    /// The agent's name: 1 to 128 characters.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.agent = name.into();
        self
    }

    /// The approvers of actions that name none of their own.
    #[must_use]
    pub fn approvers(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.approvers = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Verifies receipts with these keys only, instead of those that the gate publishes.
    #[must_use]
    pub fn trust(mut self, keys: KeySet) -> Self {
        self.trusted = Some(keys);
        self
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, KeySet> {
        // A panic cannot leave it half-written.
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
