//! Receipts: signing a decision, and checking a stored decision against its receipt.
//!
//! Only deciding signs, for a decision that is not stored yet; a receipt is kept only if its write
//! succeeds. A stored decision is never signed again.

use human_oversight_protocol::grant as signed_grant;
use human_oversight_protocol::parameters::{hex, sha256};
use human_oversight_protocol::permit;
use human_oversight_protocol::receipt::{self, Assurance, Claims, Decision, ReceiptError, verify};
use human_oversight_protocol::revocation;
use human_oversight_protocol::types::KeySet;
use human_oversight_protocol::vote;

use super::grant::{self, check_grant};
pub use super::receipt_keys::{NoKeyInForce, ReceiptKeys};
pub use super::signed::Contradiction;
use super::signed::{Part, assurance, auth_context, auth_time, object_id};
use crate::domain::{
    self, Approval, Ballot, Decider, Execution, Grant, GrantScope, Proposal, Revoker, SignedGrant,
    State, Verdict,
};
use crate::values::Timestamp;

impl ReceiptKeys {
    /// Signs a proposed decision.
    ///
    /// # Errors
    /// [`NoKeyInForce`] at its time, as of all that is signed here.
    pub fn sign(
        &self,
        issuer: &str,
        approval: &Approval,
        proposal: &Proposal,
    ) -> Result<String, NoKeyInForce> {
        let claims = claims(issuer, approval, proposal);
        let (kid, key) = self.signer(claims.iat)?;
        let receipt = receipt::sign(&claims, kid, key);
        self.known.add(receipt.clone(), claims);
        Ok(receipt)
    }

    /// Signs a vote; `None` where the plan keeps none. Like a receipt, it is kept only if its write succeeds.
    ///
    /// # Errors
    /// [`NoKeyInForce`].
    pub fn sign_vote(
        &self,
        issuer: &str,
        approval: &Approval,
        ballot: &Ballot,
    ) -> Result<Option<String>, NoKeyInForce> {
        let Some(claims) = vote_claims(issuer, approval, ballot) else {
            return Ok(None);
        };
        let (kid, key) = self.signer(claims.iat)?;
        Ok(Some(vote::sign(&claims, kid, key)))
    }

    /// Signs the revocation of an approval; `None` where there is none. Like a receipt, it is kept only if
    /// its write succeeds.
    ///
    /// # Errors
    /// [`NoKeyInForce`].
    pub fn sign_revocation(
        &self,
        issuer: &str,
        approval: &Approval,
        by: &Revoker,
        now: Timestamp,
    ) -> Result<Option<String>, NoKeyInForce> {
        let Some(claims) = revocation_claims(issuer, approval, by, now) else {
            return Ok(None);
        };
        let (kid, key) = self.signer(claims.iat)?;
        Ok(Some(revocation::sign(&claims, kid, key)))
    }

    /// Signs a standing grant. Like a receipt, it is kept only if its write succeeds.
    ///
    /// # Errors
    /// [`NoKeyInForce`].
    pub fn sign_grant(&self, issuer: &str, grant: Grant) -> Result<SignedGrant, NoKeyInForce> {
        let claims = grant::claims(issuer, &grant);
        let (kid, key) = self.signer(claims.iat)?;
        let proof = signed_grant::sign(&claims, kid, key);
        Ok(SignedGrant { grant, proof })
    }

    /// The address under which the decision was signed; `None` where there is none that verifies.
    pub fn issuer_of(&self, approval: &Approval) -> Option<String> {
        let (_, receipt) = approval.signed_decision()?;
        verify(receipt, self.public()).ok().map(|claims| claims.iss)
    }

    /// As [`check`], with the keys of this gate. The signature of a receipt is computed once for the same text, and
    /// not again for one that was signed here.
    ///
    /// # Errors
    /// As [`check`].
    pub fn check(&self, approval: &Approval) -> Result<(), Contradiction> {
        let keys = self.public();
        check_by(approval, keys, |receipt| self.known.verify(receipt, keys))
    }
}

/// Checks stored votes and a stored decision against what was signed, with the public keys of the gate that signed it.
///
/// # Errors
/// When a signature does not verify, or what was signed differs from the row.
pub fn check(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    check_by(approval, keys, |receipt| verify(receipt, keys))
}

fn check_by(
    approval: &Approval,
    keys: &KeySet,
    verify: impl Fn(&str) -> Result<Claims, ReceiptError>,
) -> Result<(), Contradiction> {
    check_votes(approval, keys)?;
    let Some((decided, receipt)) = approval.signed_decision() else {
        return Ok(());
    };
    if let Decider::Grant(signed) = &decided.by {
        check_use(approval, &decided, signed, keys)?;
    }
    let signed = verify(receipt).map_err(|error| Contradiction::ReceiptSignature(error.into()))?;
    // Takes the issuer from the receipt, since the gate's address may have changed.
    let stored = claims(&signed.iss, approval, &decided);
    if signed == stored {
        return check_revocation(approval, keys);
    }
    let digest = |claims: &Claims| claims.policy.as_ref().map(|policy| policy.digest.clone());
    Err(Contradiction::Receipt(
        if digest(&signed) != digest(&stored) {
            Part::PolicyDigest
        } else if signed.policy != stored.policy {
            Part::Plan
        } else if signed.votes != stored.votes {
            Part::Votes
        } else if signed.handed_over != stored.handed_over {
            Part::HandOvers
        } else {
            Part::Decision
        },
    ))
}

/// Checks that a standing grant which approved a request is for exactly that, and had not ended.
fn check_use(
    approval: &Approval,
    decided: &Proposal,
    signed: &SignedGrant,
    keys: &KeySet,
) -> Result<(), Contradiction> {
    check_grant(signed, keys)?;
    let is_for_this = GrantScope::of(&approval.request).as_ref() == Some(&signed.grant.scope);
    let run_by = decided.run_by.ok_or(Contradiction::Grant)?;
    if is_for_this && run_by <= signed.grant.until {
        Ok(())
    } else {
        Err(Contradiction::Grant)
    }
}

fn check_votes(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    for (domain::Vote { ballot, receipt }, number) in approval.votes.iter().zip(1..) {
        let signed = vote::verify(receipt, keys)
            .map_err(|error| Contradiction::VoteSignature(number, error.into()))?;
        let stored = vote_claims(&signed.iss, approval, ballot);
        if stored.as_ref() == Some(&signed) {
            continue;
        }
        let place = |claims: &vote::Claims| (claims.stage, claims.from.clone());
        let part = match stored {
            Some(stored) if stored.policy_digest != signed.policy_digest => Part::PolicyDigest,
            Some(stored) if place(&stored) != place(&signed) => Part::Plan,
            _ => Part::Decision,
        };
        return Err(Contradiction::Vote(number, part));
    }
    Ok(())
}

fn check_revocation(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    let State::Approved {
        execution: Execution::Revoked { at, revocation },
        ..
    } = &approval.state
    else {
        return Ok(());
    };
    let signed = revocation::verify(&revocation.proof, keys)
        .map_err(|error| Contradiction::RevocationSignature(error.into()))?;
    let expected = revocation_claims(&signed.iss, approval, &revocation.by, *at);
    if expected.as_ref() == Some(&signed) {
        Ok(())
    } else {
        Err(Contradiction::Revocation)
    }
}

fn revocation_claims(
    issuer: &str,
    approval: &Approval,
    by: &Revoker,
    at: Timestamp,
) -> Option<revocation::Claims> {
    let request = &approval.request;
    Some(revocation::Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        sub: request.id.to_string(),
        iat: at.unix_seconds(),
        receipt_digest: permit::digest(&approval.decision()?.receipt),
        revoked_by: by.to_string(),
    })
}

fn claims(issuer: &str, approval: &Approval, decided: &Proposal) -> Claims {
    let request = &approval.request;
    let (words, by) = (&decided.words, decided.by.assurance());
    Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        agent_object_id: request.agent_object_id.map(|id| id.to_string()),
        sub: request.id.to_string(),
        iat: decided.at.unix_seconds(),
        exp: decided.run_by.map(Timestamp::unix_seconds),
        correlation_id: request.id.correlation().to_owned(),
        action_description: request.action.clone(),
        parameters_digest: request.parameters.digest.to_string(),
        claimant: request.claimant.map(|digest| digest.to_string()),
        decision: verdict(decided.verdict()),
        comment_digest: words.for_agent(by).map(|comment| digest_of(&comment)),
        question_digest: words.question_for_agent(by).map(digest_of),
        approver: decided.by.to_string(),
        assurance: match &decided.by {
            Decider::Person { assurance: by, .. } => assurance(*by),
            Decider::Policy { .. } => Assurance::Policy,
            Decider::Grant(_) => Assurance::Grant,
        },
        approver_object_id: decided.by.assurance().and_then(object_id),
        auth_time: decided.by.assurance().and_then(auth_time),
        auth_context: decided.by.assurance().and_then(auth_context),
        votes: approval
            .votes
            .iter()
            .map(|it| signed_vote(approval, &it.ballot))
            .collect(),
        policy: approval.plan.policy().map(|policy| receipt::Policy {
            digest: policy.digest.to_string(),
            rules: policy.rules.clone(),
            stages: approval.plan.stages.iter().map(asks).collect(),
        }),
        handed_over: hand_overs(approval, &decided.by),
    }
}

/// The hand-overs through which those who voted, or the one who decided, came to vote.
fn hand_overs(approval: &Approval, by: &Decider) -> Vec<receipt::HandOver> {
    let approvers = || approval.approvers.iter();
    let decider = by
        .person()
        .and_then(|by| approvers().position(|it| it.address == *by));
    let voters = approval.votes.iter().map(|vote| vote.ballot.person);
    let voters: Vec<usize> = voters.chain(decider).collect();
    let address = |person: usize| approval.approvers[person].address.to_string();
    let hand_overs = approval.hand_overs_to(&voters).into_iter();
    let hand_overs = hand_overs.map(|it| receipt::HandOver {
        from: address(it.from),
        to: address(it.to),
    });
    hand_overs.collect()
}

/// The SHA-256 of what a person wrote.
fn digest_of(words: &str) -> String {
    hex(&sha256(words.as_bytes()))
}

fn verdict(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Approve => Decision::Approved,
        Verdict::Reject => Decision::Rejected,
    }
}

fn asks(stage: &domain::Stage) -> Vec<receipt::Ask> {
    let asks = stage.asks.iter().map(|ask| receipt::Ask {
        from: ask.from.clone(),
        needed: ask.needed.get(),
    });
    asks.collect()
}

fn signed_vote(approval: &Approval, ballot: &Ballot) -> receipt::Vote {
    receipt::Vote {
        approver: approval.approvers[ballot.person].address.to_string(),
        assurance: assurance(ballot.assurance),
        approver_object_id: object_id(ballot.assurance),
        auth_time: auth_time(ballot.assurance),
        auth_context: auth_context(ballot.assurance),
        decision: verdict(ballot.verdict),
        at: ballot.at.unix_seconds(),
        stage: stage_number(ballot),
        from: approval.plan.ask(ballot.place).from.clone(),
    }
}

/// The number of the stage for which a ballot counts, from 1.
fn stage_number(ballot: &Ballot) -> u8 {
    u8::try_from(ballot.place.stage + 1).unwrap_or(u8::MAX)
}

fn vote_claims(issuer: &str, approval: &Approval, ballot: &Ballot) -> Option<vote::Claims> {
    let request = &approval.request;
    let vote = signed_vote(approval, ballot);
    Some(vote::Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        sub: request.id.to_string(),
        iat: vote.at,
        parameters_digest: request.parameters.digest.to_string(),
        policy_digest: approval.plan.policy()?.digest.to_string(),
        stage: vote.stage,
        from: vote.from,
        decision: vote.decision,
        comment_digest: ballot.words.shown().map(|words| digest_of(&words)),
        question_digest: ballot.words.question.as_deref().map(digest_of),
        approver: vote.approver,
        assurance: vote.assurance,
        approver_object_id: vote.approver_object_id,
        auth_time: vote.auth_time,
        auth_context: vote.auth_context,
    })
}
