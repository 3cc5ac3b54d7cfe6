//! The list of a person who has signed in: the requests that ask them, and the standing grants that they gave. It
//! changes nothing; each request is decided on its own page.

use std::pin::pin;

use futures_util::{StreamExt, stream};

use super::error::Error;
use super::grant_rows;
use super::identify::Caller;
use super::state::App;
use crate::azure::{Member, NotSignedIn};
use crate::domain::{Approval, Assurance, Choice, HeldGrant};
use crate::keys::check_grant;
use crate::values::{Address, ApprovalId};

/// The most open requests that are shown.
const MOST_OPEN: usize = 500;

/// The most decisions that are shown.
const MOST_DECIDED: u8 = 20;

/// How many rows are read at a time.
const CONCURRENCY: usize = 32;

/// What concerns one person.
#[derive(Default)]
pub struct RequestList {
    /// The requests that ask them now, by deadline.
    pub open: Vec<ListedRequest>,
    /// Whether there are more open ones.
    pub is_cut: bool,
    /// The last requests that they decided, or voted on, the newest first.
    pub decided: Vec<(Choice, ListedRequest)>,
    /// The standing grants of theirs that are in force, with the requests with which they gave them.
    pub grants: Vec<(HeldGrant, ListedRequest)>,
    /// How many requests could not be read, or cannot be trusted.
    pub unreadable: usize,
    /// Whether requests are left out that name this person by an address which the operator's list does not have any more.
    pub is_unlisted: bool,
}

/// A request that has this person among its approvers.
pub struct ListedRequest {
    pub approval: Approval,
    /// The index of the approver.
    pub approver: usize,
}

/// Why a request that names this person is not shown.
enum LeftOut {
    /// Its row could not be read, or cannot be trusted.
    Unreadable,
    /// It names an address that the operator's list does not have any more.
    Unlisted,
}

impl RequestList {
    fn leave_out(&mut self, why: &LeftOut) {
        match why {
            LeftOut::Unreadable => self.unreadable += 1,
            LeftOut::Unlisted => self.is_unlisted = true,
        }
    }
}

impl App {
    /// The list of a person who has signed in.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no sign-in, [`Error::SignIn`] for a caller who is not signed in as a member of
    /// the directory, or the store's own.
    pub async fn requests_of(&self, caller: &Caller) -> Result<RequestList, Error> {
        let member = match &caller.member {
            None => return Err(Error::NotFound),
            Some(Err(why)) => return Err(Error::SignIn(*why)),
            Some(Ok(_)) if caller.is_agent => return Err(Error::SignIn(NotSignedIn::Program)),
            Some(Ok(member)) => member,
        };
        self.store.prepare().await?;
        let mut list = RequestList::default();
        self.list_open(&mut list, caller, member).await?;
        self.list_decided(&mut list, caller, member).await?;
        self.list_grants(&mut list, caller, member).await?;
        Ok(list)
    }

    async fn list_open(
        &self,
        list: &mut RequestList,
        caller: &Caller,
        member: &Member,
    ) -> Result<(), Error> {
        let found = self.store.pending_for(&self.addresses_of(member)).await?;
        // Some name a person whom the row does not ask now: an end before all are read would hide what waits behind them.
        let reading = found.into_iter().map(|id| self.read_listed(id, caller));
        let mut reading = pin!(stream::iter(reading).buffered(CONCURRENCY));
        let now = self.now();
        while let Some(read) = reading.next().await {
            match read {
                Ok(Some(it)) if it.approval.can_vote(it.approver, now) => list.open.push(it),
                Ok(_) => {}
                Err(why) => list.leave_out(&why),
            }
            if list.open.len() > MOST_OPEN {
                list.open.truncate(MOST_OPEN);
                list.is_cut = true;
                break;
            }
        }
        list.open.sort_by_key(|it| it.approval.request.expires_at);
        Ok(())
    }

    async fn list_decided(
        &self,
        list: &mut RequestList,
        caller: &Caller,
        member: &Member,
    ) -> Result<(), Error> {
        let people = self.addresses_of(member);
        let found = self.store.chosen_by(&people, MOST_DECIDED).await?;
        let reading = found.into_iter().map(|id| self.read_listed(id, caller));
        let mut reading = pin!(stream::iter(reading).buffered(CONCURRENCY));
        while let Some(read) = reading.next().await {
            match read {
                Ok(it) => list.decided.extend(it.and_then(with_choice)),
                Err(why) => list.leave_out(&why),
            }
        }
        Ok(())
    }

    async fn list_grants(
        &self,
        list: &mut RequestList,
        caller: &Caller,
        member: &Member,
    ) -> Result<(), Error> {
        // Without a policy there are no grants.
        if self.config.policy.is_none() {
            return Ok(());
        }
        let mut held = grant_rows::list_grants(&self.store, None).await?.grants;
        let now = self.now();
        held.retain(|it| {
            let grant = &it.signed.grant;
            it.is_in_force(now)
                && self.belongs_to(&grant.giver, member)
                && check_grant(&it.signed, self.receipt_keys.public()).is_ok()
        });
        held.sort_by_key(|it| it.signed.grant.until);
        let given_with = held.iter().map(|it| it.signed.grant.given_with.clone());
        let reading: Vec<_> = given_with.map(|id| self.read_listed(id, caller)).collect();
        let mut reading = pin!(stream::iter(reading).buffered(CONCURRENCY));
        for held in held {
            match reading.next().await {
                Some(Ok(Some(with))) => list.grants.push((held, with)),
                Some(Ok(None)) | None => {}
                Some(Err(why)) => list.leave_out(&why),
            }
        }
        Ok(())
    }

    /// Reads a request if the caller is one of its approvers and may decide.
    async fn read_listed(
        &self,
        id: ApprovalId,
        caller: &Caller,
    ) -> Result<Option<ListedRequest>, LeftOut> {
        match self.load_for_approver(&id, caller).await {
            Ok((row, identified)) => {
                let is_signed_in = matches!(identified.assurance, Assurance::Entra(_));
                Ok(is_signed_in.then_some(ListedRequest {
                    approval: row.approval,
                    approver: identified.approver,
                }))
            }
            Err(Error::NotFound | Error::Hidden(_)) => Ok(None),
            Err(Error::Unlisted) => Err(LeftOut::Unlisted),
            Err(error) => {
                let id = id.to_string();
                tracing::warn!(
                    id,
                    cause = error.cause(),
                    "a listed request could not be read"
                );
                Err(LeftOut::Unreadable)
            }
        }
    }

    /// The addresses that may be a member's.
    fn addresses_of(&self, member: &Member) -> Vec<Address> {
        let allowed = &self.config.allowed_approvers;
        let mut addresses = allowed.addresses_of(member.object_id);
        let policy = self.config.policy.iter();
        addresses.extend(policy.flat_map(|it| it.addresses_of(member.object_id)));
        addresses.extend(Address::from_known(&member.name));
        addresses
    }
}

/// The request with the last choice of the person in whose list it is.
fn with_choice(it: ListedRequest) -> Option<(Choice, ListedRequest)> {
    let choices = it.approval.choices();
    let choice = choices.into_iter().rfind(|one| one.person == it.approver)?;
    Some((choice, it))
}
