//! Standing grants: an approver gives one with an approval, and it approves later requests for exactly the same.

use tokio::time::timeout;
use tracing::Instrument;

use std::sync::Arc;
use std::time::Duration;

use human_oversight_protocol::parameters::hex;

use super::error::{ConflictReason, Error};
use super::grant_rows;
use super::paused::may_cover;
use super::rejections::is_rejected_since;
use super::state::App;
use super::submission::Submission;
use crate::content;
use crate::domain::{
    Approval, Decider, Execution, Grant, GrantEnd, GrantScope, GrantState, GrantTerms, GrantWish,
    Grants, HeldGrant, Plan, Request, SignedGrant,
};
use crate::keys::{NoKeyInForce, check_grant, random_bytes};
use crate::policy::{Absence, Member, Policy, is_same_person};
use crate::store::StoreError;
use crate::values::{Address, ApprovalId, Owner, Timestamp};

/// How long the response of a decision waits for the grant that is given with it.
const GIVE_WITHIN: Duration = Duration::from_secs(15);

impl App {
    /// Takes one use of the standing grant for exactly what a submission asks; `None` where there is none that may
    /// be used, or it cannot be read or written: then people are asked.
    ///
    /// # Errors
    /// When nothing can be signed now: then it takes none.
    pub(super) async fn use_grant(
        self: &Arc<Self>,
        submission: &Submission,
        owner: &Owner,
        plan: &Plan,
        people: &[Address],
    ) -> Result<Option<SignedGrant>, NoKeyInForce> {
        let Some(terms) = plan.grants else {
            return Ok(None);
        };
        let scope = GrantScope {
            owner: owner.clone(),
            agent: submission.id.agent().to_owned(),
            action: submission.action.clone(),
            digest: submission.parameters.digest,
            on_behalf_of: submission.on_behalf_of.clone(),
        };
        let mut can_sign = Ok(());
        let mut may_use = |signed: &SignedGrant| {
            let may_use = self.may_use(signed, terms, plan.sign_in, people);
            if may_use {
                can_sign = self.receipt_keys.signing_kid(self.now()).map(|_| ());
            }
            may_use && can_sign.is_ok()
        };
        let id = submission.id.to_string();
        let names = self.grant_names(owner, &scope.action, &submission.parameters.json);
        for name in &names {
            let taking = self.take_use(&names, name, &scope, &submission.id, &mut may_use);
            match taking.await {
                Ok(Some((signed, is_used_up))) => {
                    let grant = &signed.grant.id;
                    tracing::info!(id, grant, "a standing grant was used");
                    if is_used_up {
                        self.tell_standing_in_background();
                    }
                    return Ok(Some(signed));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(id, cause = %error, "standing grants cannot be used; people are asked");
                }
            }
        }
        can_sign.map(|()| None)
    }

    /// Takes one use of the grant for exactly this that a row has. Returns it, and whether it is used up.
    async fn take_use(
        self: &Arc<Self>,
        names: &[String],
        name: &str,
        scope: &GrantScope,
        id: &ApprovalId,
        mut may_use: impl FnMut(&SignedGrant) -> bool,
    ) -> Result<Option<(SignedGrant, bool)>, StoreError> {
        let (store, clock) = (&self.store, || self.now());
        if names.len() > 1
            && let Some(held) = grant_rows::read(store, name)
                .await?
                .held_for(scope, id, clock())
            && self.has_outlived(names, &held.signed.grant).await?
        {
            let grant = &held.signed.grant.id;
            grant_rows::end(store, name, grant, GrantEnd::Rejection, clock).await?;
            self.tell_standing_in_background();
            return Ok(None);
        }
        let taking = grant_rows::change(store, name, clock, |grants, now| {
            let signed = grants.take(scope, id, now, &mut may_use)?;
            let is_used_up =
                |it: &HeldGrant| it.signed == signed && it.state(now) == GrantState::UsedUp;
            let is_used_up = grants.held.iter().any(is_used_up);
            Some((signed, is_used_up))
        });
        taking.await
    }

    /// Whether a grant may approve what it is for: a gate with these keys has signed it, today's rules are those
    /// that allowed it, and its giver is still one of the people who would be asked.
    fn may_use(
        &self,
        signed: &SignedGrant,
        terms: GrantTerms,
        plan_signs_in: bool,
        people: &[Address],
    ) -> bool {
        let grant = &signed.grant;
        let Some(policy) = &self.config.policy else {
            return false;
        };
        let giver = policy.member(&grant.giver);
        let mut asked = people.iter().map(|person| policy.member(person));
        let acted_for = grant.scope.on_behalf_of.as_ref();
        let known = giver.person.clone().with(grant.assurance.object_id());
        check_grant(signed, self.receipt_keys.public()).is_ok()
            && grant.rules == terms.rules
            && self.may_give(grant, plan_signs_in)
            && asked.any(|person| is_same_person(&person, &giver))
            && !acted_for.is_some_and(|it| self.people.person(it).may_be(&known))
    }

    /// Whether the operator's list has the giver of a grant, who signed in if that is needed today.
    fn may_give(&self, grant: &Grant, plan_signs_in: bool) -> bool {
        let needs_sign_in = plan_signs_in || self.needs_sign_in(&grant.scope.action);
        self.is_allowed(&grant.giver, grant.assurance)
            && (!needs_sign_in || grant.assurance.object_id().is_some())
    }

    /// Fails if the standing grant that approved a request was ended before its time, or another one took its place: what
    /// it has approved and is not claimed ends with it.
    pub(super) async fn check_grant(&self, approval: &Approval) -> Result<(), Error> {
        let Some(Decider::Grant(signed)) = approval.decision().map(|decision| &decision.by) else {
            return Ok(());
        };
        let mut found = Vec::new();
        let names = self.request_grant_names(&approval.request);
        for name in &names {
            let grants = grant_rows::read(&self.store, name).await?;
            found.extend(grants.has_ended(&signed.grant.id));
        }
        if found.is_empty() {
            return Err(Error::Conflict(ConflictReason::GrantGone));
        }
        if found.contains(&true) || self.has_outlived(&names, &signed.grant).await? {
            return Err(Error::Conflict(ConflictReason::GrantEnded));
        }
        Ok(())
    }

    /// Whether a grant has outlived what ends it, since the key that names its row was not configured then: the last rejection
    /// that is kept of what reads the same, or the revocation of the approval with which it was given.
    async fn has_outlived(&self, names: &[String], grant: &Grant) -> Result<bool, StoreError> {
        if names.len() < 2 {
            return Ok(false);
        }
        let (is_rejected, given_with) = tokio::join!(
            is_rejected_since(&self.store, names, grant.given_at),
            self.store.get(&grant.given_with),
        );
        let is_revoked = match given_with {
            Ok(row) => matches!(
                row.approval.execution(self.now()),
                None | Some(Execution::Revoked { .. })
            ),
            Err(StoreError::NotFound) => false,
            Err(error) => return Err(error),
        };
        Ok(is_rejected? || is_revoked)
    }

    /// What a standing grant may be that an approver gives with the approval of this request now; `None` where
    /// none may be given: then today's policy would not accept it.
    pub fn grant_terms(&self, approval: &Approval, giver: &Address) -> Option<GrantTerms> {
        let terms = approval.plan.grants?;
        let policy = self.config.policy.as_ref()?;
        let is_same = policy.digest_of(&approval.plan.policy()?.rules) == terms.rules;
        let giver = policy.member(giver);
        (is_same && asks_again(policy, approval, &giver, self.now())).then_some(terms)
    }

    /// Whether a grant that was given with a request would approve the same again today, in its time and uses.
    pub fn accepts_grant(&self, grant: &Grant, given_with: &Approval) -> bool {
        self.grant_terms(given_with, &grant.giver).is_some()
            && self.may_give(grant, given_with.plan.sign_in)
    }

    /// How often the grants for what reads like a request were ended; to be read before its approval is stored.
    pub(super) async fn grants_voided(&self, request: &Request) -> Result<u64, StoreError> {
        let name = self.request_grant_names(request).into_iter().next();
        let grants = grant_rows::read(&self.store, &name.unwrap_or_default()).await?;
        Ok(grants.voided)
    }

    /// Gives a grant with an approval that is stored. Returns whether it stands. Runs in its own task, so that a
    /// disconnected caller does not interrupt it.
    pub(super) async fn give_grant(
        self: &Arc<Self>,
        approval: &Approval,
        wish: GrantWish,
        voided: Result<u64, StoreError>,
    ) -> bool {
        let (app, approval) = (self.clone(), approval.clone());
        let id = approval.request.id.to_string();
        let giving = async move { app.try_give_grant(&approval, wish, voided?).await };
        let given = timeout(GIVE_WITHIN, tokio::spawn(giving.in_current_span())).await;
        match given {
            Ok(Ok(Ok(true))) => true,
            Ok(Ok(Ok(false))) | Ok(Err(_)) | Err(_) => {
                tracing::warn!(id, "a standing grant could not be given");
                false
            }
            Ok(Ok(Err(error))) => {
                tracing::warn!(id, cause = %error, "a standing grant could not be given");
                false
            }
        }
    }

    async fn try_give_grant(
        self: &Arc<Self>,
        approval: &Approval,
        wish: GrantWish,
        voided: u64,
    ) -> Result<bool, StoreError> {
        let id = hex(&random_bytes::<8>());
        let grant = approval.grant(wish, id.clone());
        let is_accepted = |it: &Grant| self.grant_terms(approval, &it.giver).is_some();
        let Some(grant) = grant.filter(is_accepted) else {
            return Ok(false);
        };
        let scope = grant.scope.clone();
        let (owner, agent) = (Some(&scope.owner), scope.agent.as_str());
        // What is never given has no end, of which its giver would get an email.
        if self.forbids_grants(owner, agent).await {
            return Ok(false);
        }
        let Ok(signed) = self.receipt_keys.sign_grant(&self.base_url, grant) else {
            return Ok(false);
        };
        let names = self.request_grant_names(&approval.request);
        let name = names.first().map_or("", String::as_str);
        // What it replaces may be in the row of another link key.
        for name in names.iter().skip(1) {
            let replacing = |grants: &mut Grants, now| grants.replace(&scope, now).then_some(());
            grant_rows::change(&self.store, name, || self.now(), replacing).await?;
        }
        let adding = grant_rows::change(
            &self.store,
            name,
            || self.now(),
            |grants, now| {
                let added = grants.add(signed.clone(), voided, &approval.plan.tell, now);
                added.then_some(())
            },
        );
        if adding.await?.is_none() {
            return Ok(false);
        }
        tracing::info!(
            id = approval.request.id.to_string(),
            grant = id,
            "a standing grant was given"
        );
        // A pause ends the grants that it finds. This one may have come too late for that.
        let pauses = self.pauses().await;
        let is_paused = pauses.map_or(true, |pauses| may_cover(&pauses, owner, agent));
        if is_paused {
            let (store, now) = (&self.store, || self.now());
            grant_rows::end(store, name, &id, GrantEnd::Pause, now).await?;
        }
        self.tell_standing_in_background();
        Ok(!is_paused)
    }

    /// Ends all grants for what reads like a request, before its rejection is stored, or its approval is `revoked`. Whether
    /// a form `rejects` is asked only where there may be grants.
    pub(super) async fn void_grants_if(
        self: &Arc<Self>,
        request: &Request,
        revoked: Option<&ApprovalId>,
        rejects: impl FnOnce() -> bool,
    ) -> Result<(), Error> {
        let policy = self.config.policy.as_ref();
        let Some(policy) = policy.filter(|_| rejects()) else {
            return Ok(());
        };
        let may_be_added = policy.allows_grants();
        let mut any = false;
        for name in self.request_grant_names(request) {
            let (store, now) = (&self.store, || self.now());
            any |= grant_rows::void(store, &name, revoked, may_be_added, now).await?;
        }
        if any {
            self.tell_standing_in_background();
        }
        Ok(())
    }

    /// Ends a grant for the operator. Returns `false` if it was ended before.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such grant, or the store's own.
    pub async fn end_grant(self: &Arc<Self>, id: &str) -> Result<bool, Error> {
        let done = grant_rows::end_grant(&self.store, id, self.now()).await?;
        if done {
            self.tell_standing_in_background();
        }
        Ok(done)
    }

    pub(super) fn request_grant_names(&self, request: &Request) -> Vec<String> {
        match &request.owner {
            Some(owner) => self.grant_names(owner, &request.action, &request.parameters.json),
            // A request without an owner has no grants.
            None => Vec::new(),
        }
    }

    /// The names of the rows with the grants for what reads the same, one for each link key; the first is that of
    /// new rows.
    fn grant_names(&self, owner: &Owner, action: &str, parameters: &str) -> Vec<String> {
        let scope = self.account(owner).to_string();
        let content = content::digest(action, parameters);
        self.link_keys.content_names(&scope, &content)
    }
}

/// Whether a person is among those whom today's policy asks for the same as a request, by the rules of its plan: not
/// one who has a seat only because it was handed over, or because someone was absent then.
fn asks_again(policy: &Policy, approval: &Approval, person: &Member, now: Timestamp) -> bool {
    let plan = &approval.plan;
    let mut asked: Vec<Member> = Vec::new();
    for ask in plan.stages.iter().flat_map(|stage| &stage.asks) {
        if ask.from == Plan::REQUESTED {
            let people = ask.members.iter().map(|&it| &approval.approvers[it]);
            asked.extend(people.map(|it| policy.member(&it.address)));
        } else {
            asked.extend_from_slice(policy.group(&ask.from));
        }
    }
    let escalated = plan.escalation.iter().flat_map(|it| &it.from);
    asked.extend(escalated.flat_map(|group| policy.group(group)).cloned());
    let is_asked = |person: &Member| asked.iter().any(|it| is_same_person(it, person));
    let substitutes = |absence: &Absence| {
        is_same_person(&absence.substitute, person) && is_asked(&absence.person)
    };
    let request = &approval.request;
    let until = now + request.expires_at.since(request.requested_at);
    is_asked(person) || policy.absences(now, until).any(substitutes)
}
