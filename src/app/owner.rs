//! The owner of a request: only the credential that submitted it may read, claim, report or withdraw it.

use super::error::Error;
use super::state::App;
use crate::domain::Request;
use crate::keys::AgentCredential;
use crate::store::{ReadError, StoreError, Versioned};
use crate::values::{ApprovalId, Owner};

impl App {
    /// The owner of what this caller submits for an agent; `None` if the caller may not act for it
    /// (`HO_AGENT_KEYS`), or has no key where the host demands one.
    pub fn owner(&self, credential: &AgentCredential, agent: &str) -> Option<Owner> {
        match &self.config.agent_keys {
            // In the cloud the host lets no call pass without a key: this one came another way.
            None if self.config.production && credential.is_missing() => None,
            None => Some(credential.owner()),
            Some(keys) => keys.find(credential, agent).map(Owner::Agents),
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
    /// [`Error::Hidden`] for any other caller, whatever else is wrong with the row; otherwise as [`App::load`].
    pub async fn load_owned(
        &self,
        id: &ApprovalId,
        credential: &AgentCredential,
    ) -> Result<Versioned, Error> {
        let row = self.store.read(id).await;
        let row = row.map_err(|unread| self.hide_from_others(unread, id.agent(), credential))?;
        self.check_owner(&row.approval.request, credential)?;
        self.check_receipt(row)
    }

    pub(super) fn check_owner(
        &self,
        request: &Request,
        credential: &AgentCredential,
    ) -> Result<(), Error> {
        if self.is_owner(request.owner.as_ref(), request.id.agent(), credential) {
            Ok(())
        } else {
            Err(Error::Hidden(None))
        }
    }

    fn is_owner(&self, stored: Option<&Owner>, agent: &str, credential: &AgentCredential) -> bool {
        let owner = self.owner(credential, agent);
        match (owner, stored) {
            (None, _) => false,
            // Of a gate that stored no owners.
            (Some(_), None) => true,
            // A credential that the list has named since still owns what it submitted before.
            (Some(owner), Some(stored)) => *stored == owner || *stored == credential.owner(),
        }
    }

    /// The error of a row that could not be read. It is the owner's alone, by the column as stored: a damaged
    /// row without one may have lost it, so it is hidden from all.
    fn hide_from_others(
        &self,
        unread: ReadError,
        agent: &str,
        credential: &AgentCredential,
    ) -> Error {
        let Some(row) = unread.row else {
            return unread.error.into();
        };
        let owner = row.owner.as_ref();
        let is_known = owner.is_some() || !matches!(unread.error, StoreError::Damaged(_));
        if is_known && self.is_owner(owner, agent, credential) {
            unread.error.into()
        } else {
            Error::Hidden(Some(Box::new(unread.error.into())))
        }
    }
}
