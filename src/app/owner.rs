//! The owner of a request: only the credential that submitted it may read, claim, report or withdraw it.

use super::error::Error;
use super::state::App;
use crate::domain::Request;
use crate::keys::FunctionKey;
use crate::store::Versioned;
use crate::values::{ApprovalId, Owner};

impl App {
    /// The owner of what this caller submits for an agent; `None` if the caller may not act for it
    /// (`HO_AGENT_KEYS`), or has no key where the host demands one.
    pub fn owner(&self, key: &FunctionKey, agent: &str) -> Option<Owner> {
        match &self.config.agent_keys {
            // In the cloud the host lets no call pass without a key: this one came another way.
            None if self.config.production && key.is_empty() => None,
            None => Some(key.owner()),
            Some(keys) => keys.find(key, agent).map(Owner::Agents),
        }
    }

    /// The owner on whose account people are asked: the owners of the entries that one key has in
    /// `HO_AGENT_KEYS` share one, so that its holder cannot multiply budgets or leave rejections behind.
    pub(super) fn account(&self, owner: &Owner) -> Owner {
        match (owner, &self.config.agent_keys) {
            (Owner::Agents(agents), Some(keys)) => Owner::Agents(keys.account(agents)),
            _ => owner.clone(),
        }
    }

    /// Loads a request for its owner.
    ///
    /// # Errors
    /// [`Error::NotFound`] for any other caller too; otherwise as [`App::load`].
    pub async fn load_owned(&self, id: &ApprovalId, key: &FunctionKey) -> Result<Versioned, Error> {
        let row = self.load(id).await?;
        self.check_owner(&row.approval.request, key)?;
        Ok(row)
    }

    pub(super) fn check_owner(&self, request: &Request, key: &FunctionKey) -> Result<(), Error> {
        let owner = self.owner(key, request.id.agent()).ok_or(Error::NotFound)?;
        match &request.owner {
            // Of a gate that stored no owners.
            None => Ok(()),
            // A key that the list has named since still owns what it submitted before.
            Some(stored) if *stored == owner || *stored == key.owner() => Ok(()),
            Some(_) => Err(Error::NotFound),
        }
    }
}
