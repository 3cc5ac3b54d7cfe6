//! Identifying a caller of the decision page: which approver of a request they are, and how that is known.

use std::time::Duration;

use uuid::Uuid;

use super::error::Error;
use super::state::App;
use crate::azure::{Member, NotSignedIn};
use crate::domain::{Approval, Approver, Assurance, SignInFault, SignedIn};
use crate::store::{ReadError, RowVersion, Versioned};
use crate::values::{Address, ApprovalId, DirectoryGroup, MAX_CLOCK_ERROR, Timestamp};

/// How long an approver's link opens a request after its end.
const LINK_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// How long a sign-in takes the place of the link in the email.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// A caller of the decision page, not yet identified.
pub struct Caller {
    /// Their link token; empty without one.
    pub link: String,
    /// The member they are signed in as; `None` if sign-in is off.
    pub member: Option<Result<Member, NotSignedIn>>,
    /// Whether the platform names a program instead of a person.
    pub is_agent: bool,
}

/// The approver that a caller was identified as.
#[derive(Clone, Copy, Debug)]
pub struct Identified {
    /// The index of the approver.
    pub approver: usize,
    /// How they were identified.
    pub assurance: Assurance,
    /// Whether they have the link of this approver's email.
    pub has_link: bool,
    /// Whether their sign-in is enough for a decision; always so without sign-in.
    pub sign_in: Result<(), SignInFault>,
}

impl Caller {
    /// "Not found", or the demand to sign in for a caller who has not, so that the response does not reveal
    /// whether the request exists.
    pub fn not_found(&self) -> Error {
        match self.member {
            Some(Err(why)) => Error::SignIn(why),
            Some(Ok(_)) | None => Error::NotFound,
        }
    }
}

impl App {
    /// Loads a request for one of its approvers.
    ///
    /// # Errors
    /// [`Error::Hidden`] when the caller is not an approver, whatever else is wrong with the row; [`Error::Unlisted`];
    /// otherwise as [`App::load`].
    pub async fn load_for_approver(
        &self,
        id: &ApprovalId,
        caller: &Caller,
    ) -> Result<(Versioned, Identified), Error> {
        let row = self.store.read(id).await;
        let row = row.map_err(|unread| self.hide_from_strangers(unread, caller))?;
        let identified = self.identify(&row.approval, caller)?;
        Ok((self.check_receipt(row)?, identified))
    }

    /// The error of a row that could not be read. It is for its approvers alone, by the columns as stored.
    fn hide_from_strangers(&self, unread: ReadError, caller: &Caller) -> Error {
        let Some(row) = unread.row else {
            return unread.error.into();
        };
        let find = |action: &str| {
            let needs_sign_in = self.needs_sign_in(action);
            self.find_approver(&row.approvers, needs_sign_in, row.ended_at, caller)
        };
        if row.action.as_deref().and_then(find).is_some() {
            unread.error.into()
        } else {
            Error::Hidden(Some(Box::new(unread.error.into())))
        }
    }

    /// Identifies the caller as an approver.
    ///
    /// # Errors
    /// [`Error::Hidden`] when the caller is not an approver; [`Error::Unlisted`] when they are one who may not decide:
    /// the operator's current list counts, not the list at submit.
    pub(super) fn identify(
        &self,
        approval: &Approval,
        caller: &Caller,
    ) -> Result<Identified, Error> {
        let principal = approval.request.on_behalf_of.as_ref();
        let identified = match &caller.member {
            // Even with an approver's link, the person the agent acts for never decides.
            Some(Ok(member))
                if principal.is_some_and(|person| self.may_belong_to(person, member)) =>
            {
                return Err(Error::Hidden(None));
            }
            _ => {
                let request = &approval.request;
                let ended_at = approval.closed_at().unwrap_or(request.expires_at);
                let needs_sign_in = approval.plan.sign_in || self.needs_sign_in(&request.action);
                self.find_approver(&approval.approvers, needs_sign_in, Some(ended_at), caller)
            }
        };
        let address = |identified: &Identified| &approval.approvers[identified.approver].address;
        let is_principal = |it: &Identified| {
            let person = self.people.person(address(it));
            principal.is_some_and(|it| self.people.person(it).may_be(&person))
        };
        let identified = identified.filter(|it| !is_principal(it));
        let identified = identified.ok_or(Error::Hidden(None))?;
        if !self.config.allowed_approvers.allows(address(&identified)) {
            return Err(Error::Unlisted);
        }
        let sign_in = match &caller.member {
            Some(Ok(member)) => self.check_sign_in(approval, identified, member),
            _ => Ok(()),
        };
        let assurance = match identified.assurance {
            // Its rows have no place for more.
            Assurance::Entra(SignedIn { object_id, .. })
                if self.config.rows.version == RowVersion::V1 =>
            {
                Assurance::Entra(SignedIn::as_member(object_id))
            }
            known => known,
        };
        Ok(Identified {
            assurance,
            sign_in,
            ..identified
        })
    }

    /// Whether a sign-in is enough for a decision: of a member of the directory's groups, within the operator's time, and
    /// with the link of the email or fresh, so that a program in a person's browser, which knows the address of the page,
    /// does not decide.
    fn check_sign_in(
        &self,
        approval: &Approval,
        identified: Identified,
        member: &Member,
    ) -> Result<(), SignInFault> {
        let (Some(signed_in), Some(settings)) = (
            identified.assurance.signed_in(),
            self.config.sign_in.as_ref(),
        ) else {
            return Ok(());
        };
        self.check_groups(&approval.approvers[identified.approver].address, member)?;
        let now = self.now();
        let check_age = |at: Timestamp, age: Duration, too_old: SignInFault| {
            // With a clock that is so far off, an instance decides nothing.
            if at >= now + MAX_CLOCK_ERROR {
                Err(SignInFault::Ahead)
            } else if now.since(at) > age {
                Err(too_old)
            } else {
                Ok(())
            }
        };
        if let Some(max_age) = settings.max_age {
            let at = signed_in.auth_time.ok_or(SignInFault::TimeUnknown)?;
            check_age(at, max_age, SignInFault::TooOld)?;
        }
        if !approval.request.needs_step_up || identified.has_link || signed_in.context.is_some() {
            return Ok(());
        }
        let at = signed_in.auth_time;
        let at = at.ok_or(SignInFault::LinkMissingAndTimeUnknown)?;
        check_age(at, FRESH, SignInFault::LinkMissing)
    }

    /// Whether a member has what the operator's list and the policy demand of an address today.
    fn check_groups(&self, address: &Address, member: &Member) -> Result<(), SignInFault> {
        for groups in self.demanded_groups(address) {
            let mut known = groups.iter().map(|group| member.has(group));
            if known.clone().any(|it| it == Some(true)) {
                continue;
            }
            return Err(if known.any(|it| it.is_none()) {
                SignInFault::GroupUnknown
            } else {
                SignInFault::NotInGroup
            });
        }
        Ok(())
    }

    /// The groups and roles of the directory of which the holder of an address must have one of each set.
    fn demanded_groups(&self, address: &Address) -> Vec<Vec<&DirectoryGroup>> {
        let listed = self.config.allowed_approvers.groups_of(address);
        let policy = self.config.policy.as_ref();
        let of_policy = policy.and_then(|it| it.directory_group_of(address));
        let sets = [listed, of_policy.into_iter().collect()];
        sets.into_iter().filter(|set| !set.is_empty()).collect()
    }

    /// Whether an approver of a request can decide only signed in.
    pub(super) fn must_sign_in(&self, approval: &Approval, approver: usize) -> bool {
        approval.plan.sign_in
            || self.needs_sign_in(&approval.request.action)
            || self.takes_group(&approval.approvers[approver].address)
    }

    /// Whether the operator's list or the policy demands a group or role of the holder of an address.
    pub(super) fn takes_group(&self, address: &Address) -> bool {
        !self.demanded_groups(address).is_empty()
    }

    /// What is known of a person's sign-in.
    fn signed_in(&self, member: &Member) -> SignedIn {
        let wanted = self.config.sign_in.as_ref().and_then(|it| it.auth_context);
        SignedIn {
            object_id: member.object_id,
            auth_time: member.auth_time,
            context: wanted.filter(|context| member.auth_contexts.contains(context)),
        }
    }

    /// Whether the operator's settings demand sign-in for an action.
    pub(super) fn needs_sign_in(&self, action: &str) -> bool {
        let sign_in = self.config.sign_in.as_ref();
        sign_in.is_some_and(|it| it.is_required_for(action))
    }

    /// The approver that the caller is by sign-in, or else by link.
    fn find_approver(
        &self,
        approvers: &[Approver],
        needs_sign_in: bool,
        ended_at: Option<Timestamp>,
        caller: &Caller,
    ) -> Option<Identified> {
        // Not even with an approver's link.
        if caller.is_agent {
            return None;
        }
        if let Some(Ok(member)) = &caller.member {
            let is_member = |approver: &Approver| self.belongs_to(&approver.address, member);
            if let Some(approver) = approvers.iter().position(is_member) {
                let holder = self.link_keys.link_holder(approvers, &caller.link);
                return Some(Identified {
                    approver,
                    assurance: Assurance::Entra(self.signed_in(member)),
                    has_link: holder == Some(approver),
                    sign_in: Ok(()),
                });
            }
        }
        if needs_sign_in {
            return None;
        }
        if ended_at.is_none_or(|ended_at| self.now() >= ended_at + LINK_LIFETIME) {
            return None;
        }
        let approver = self.link_keys.link_holder(approvers, &caller.link)?;
        if self.takes_group(&approvers[approver].address) {
            return None;
        }
        Some(Identified {
            approver,
            assurance: Assurance::Link,
            has_link: true,
            sign_in: Ok(()),
        })
    }

    /// Whether an address may belong to a member, in any spelling.
    fn may_belong_to(&self, address: &Address, member: &Member) -> bool {
        let person = self.people.person(address);
        let name = Address::from_known(&member.name);
        person.has(member.object_id)
            || name.is_some_and(|name| self.people.person(&name).may_be(&person))
    }

    /// Whether an address belongs to a member: by object id if the policy or the operator's list has one, otherwise by
    /// the name of the member.
    pub(super) fn belongs_to(&self, address: &Address, member: &Member) -> bool {
        let by_id = self.has_object_id(address, member.object_id);
        by_id.unwrap_or_else(|| {
            Address::from_known(&member.name).is_some_and(|name| name.is_same_mailbox(address))
        })
    }

    /// The other approvers of a request who are the same person as this one: by the object ids of their sign-ins, or, where
    /// one of the two did not sign in, as [`Person::may_be`](crate::values::Person::may_be) says.
    pub(super) fn aliases_of(
        &self,
        approval: &Approval,
        approver: usize,
        assurance: Assurance,
    ) -> Vec<usize> {
        let own_id = assurance.object_id();
        let known = |address: &Address, id| self.people.person(address).with(id);
        let own = known(&approval.approvers[approver].address, own_id);
        let id_of_vote = |person: usize| {
            let mut votes = approval.votes.iter().rev();
            let vote = votes.find(|vote| vote.ballot.person == person)?;
            vote.ballot.assurance.object_id()
        };
        let is_alias = |person: usize, address: &Address| match (own_id, id_of_vote(person)) {
            (Some(own_id), Some(id)) => own_id == id,
            (_, id) => own.may_be(&known(address, id)),
        };
        let people = approval.approvers.iter().enumerate();
        let aliases =
            people.filter(|(person, it)| *person != approver && is_alias(*person, &it.address));
        aliases.map(|(person, _)| person).collect()
    }

    /// Whether the policy or else the operator's list gives an address this object id; `None` if neither gives it one.
    /// Where the list gives it several, the policy's is one of them.
    pub(super) fn has_object_id(&self, address: &Address, object_id: Uuid) -> Option<bool> {
        let policy = self.config.policy.as_ref();
        match policy.and_then(|it| it.object_id_of(address)) {
            Some(known) => Some(known == object_id),
            None => {
                let allowed = &self.config.allowed_approvers;
                allowed.lists_object_id(address, object_id)
            }
        }
    }
}
