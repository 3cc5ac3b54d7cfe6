//! Whether an approval is proven to be one of exactly this action, and a claim to be granted.

use human_oversight_protocol::parameters::{Parameters, hex, sha256};
use human_oversight_protocol::permit::{self, Expected, NotGranted};
use human_oversight_protocol::receipt::{self, Claims, NotPermitted, Run};
use human_oversight_protocol::types::{Approval, ExecutionStatus, KeySet, Status};
use time::OffsetDateTime;

use crate::action::Action;
use crate::error::Error;
use crate::gate::Gate;
use crate::handle::Handle;
use crate::outcome::Refusal;
use crate::retry::{retry_first_contact, retry_transient};
use crate::run_permit::Proof;

/// By how many seconds the clocks of agent and gate may differ.
pub(crate) const CLOCK_LEEWAY_SECONDS: u32 = 60;

impl Gate {
    /// The keys and issuers to verify with. What the gate publishes changes rarely: it is fetched again only
    /// when the keys known do not verify what the gate signed of this request.
    pub(crate) async fn keys(&self, approval: Option<&Approval>) -> Result<KeySet, Error> {
        if let Ok(known) = self.trust.known()
            && approval.is_none_or(|approval| is_signed(approval, &known))
        {
            return Ok(known);
        }
        let fetch = || self.client.keys();
        self.trust.learn(match approval {
            None => retry_first_contact(fetch).await?,
            Some(_) => retry_transient(fetch).await?,
        });
        self.trust.known()
    }
}

/// Whether these keys verify what the approval has of receipt and permit: a rotation may lie between the two.
fn is_signed(approval: &Approval, keys: &KeySet) -> bool {
    let (receipt, permit) = (approval.receipt.as_deref(), approval.permit.as_deref());
    receipt.is_none_or(|receipt| receipt::verify(receipt, keys).is_ok())
        && permit.is_none_or(|permit| permit::verify(permit, keys).is_ok())
}

impl Action {
    /// Refuses a handle with which this agent can obtain nothing.
    pub(crate) fn check_handle(&self, handle: &Handle) -> Result<(), Refusal> {
        if handle.is_of(&self.gate.agent) {
            Ok(())
        } else {
            Err(Refusal::invalid("the handle is of another agent"))
        }
    }

    /// Returns the receipt and its claims if it permits this action under this handle with these parameters, now.
    pub(crate) fn verify(
        &self,
        handle: &Handle,
        approval: &Approval,
        parameters: &Parameters,
        keys: &KeySet,
    ) -> Result<(String, Claims), Refusal> {
        let unverified = |what: &str| Err(Refusal::unverified(what));
        let Some(receipt) = &approval.receipt else {
            return unverified("the approval has no receipt");
        };
        let claims = receipt::verify(receipt, keys).map_err(Refusal::unverified)?;
        if !keys.issuers.contains(&claims.iss) {
            return unverified(
                "the receipt names another gate as its issuer than this client trusts (HO_ISSUER, or \
                 HO_ISSUERS of the gate)",
            );
        }
        if claims.sub != handle.id {
            return unverified("the receipt is for another request");
        }
        if claims.claimant != Some(handle.claimant()) {
            return unverified("the receipt is for another claimant");
        }
        let run = Run {
            agent: &self.gate.agent,
            action: &self.description,
            parameters,
        };
        match claims.permit(run, now() - i64::from(CLOCK_LEEWAY_SECONDS)) {
            Ok(()) => {}
            Err(NotPermitted::Lapsed) => return Err(lapsed_here()),
            Err(other) => return Err(Refusal::unverified(other)),
        }
        // Where the gate's policy says who must agree, the receipt says so, and by which votes.
        if claims.policy.is_none() && !self.is_by_approver(&claims) {
            return unverified("the receipt names a person who is not an approver");
        }
        Ok((receipt.clone(), claims))
    }

    /// Whether an approver of this action decided, or a person to whom one of them handed their place.
    fn is_by_approver(&self, claims: &Claims) -> bool {
        let first = claims.decided_for().pop();
        let mut approvers = self.gate.approvers.iter();
        approvers.any(|approver| first.is_some_and(|first| is_same_address(approver, first)))
    }

    /// Returns receipt and permit if the gate granted the claim of this nonce.
    pub(crate) fn verify_claim(
        &self,
        (handle, nonce): (&Handle, &str),
        approval: &Approval,
        parameters: &Parameters,
        keys: &KeySet,
    ) -> Result<Proof, Refusal> {
        if !is_executing(approval, &handle.id) {
            let why = "the gate's response to the claim is not an approval";
            return Err(Refusal::unverified(why));
        }
        let (receipt, decision) = self.verify(handle, approval, parameters, keys)?;
        let Some(permit) = &approval.permit else {
            return Err(Refusal::unverified(
                "the gate granted the claim without a permit: an older version of it did, or one with HO_ROWS=1; \
                 upgrade every instance of the gate before its clients",
            ));
        };
        let claims = permit::verify(permit, keys).map_err(Refusal::unverified)?;
        let expected = Expected {
            issuers: &keys.issuers,
            agent: &self.gate.agent,
            id: &handle.id,
            nonce,
            claimant: Some(&handle.claimant()),
            parameters,
            receipt: &receipt,
            leeway: CLOCK_LEEWAY_SECONDS,
        };
        // The nonce shows that the permit is fresh, so a clock that is behind the gate's is no reason to
        // refuse it.
        match claims.grant(&expected, now().max(claims.iat)) {
            Ok(()) => Ok(Proof {
                receipt,
                permit: permit.clone(),
                comment: signed_comment(approval, &decision),
                approver: decision.approver,
            }),
            Err(NotGranted::Expired) => Err(lapsed_here()),
            Err(other) => Err(Refusal::unverified(other)),
        }
    }
}

/// The gate still takes the approval for valid, or has granted the claim of it.
fn lapsed_here() -> Refusal {
    Refusal::unverified(
        "by this machine's clock the approval has lapsed, and by the gate's it has not: this clock may be ahead",
    )
}

/// The comment, unless it is another than the receipt covers.
fn signed_comment(approval: &Approval, decision: &Claims) -> Option<String> {
    let comment = approval.comment.as_deref()?;
    let digest = hex(&sha256(comment.as_bytes()));
    (decision.comment_digest == Some(digest)).then(|| comment.to_owned())
}

/// Whether the claim was granted, as the response says.
fn is_executing(approval: &Approval, id: &str) -> bool {
    let execution = approval
        .execution
        .as_ref()
        .map(|execution| execution.status);
    approval.id == id
        && approval.status == Status::Approved
        && execution == Some(ExecutionStatus::Executing)
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Compares addresses without regard to case, and domains in ASCII: the gate signs a domain as A-labels
/// (RFC 5890), an agent may name it in Unicode. One without such a form, as where it ends in a number, is compared as
/// it is.
fn is_same_address(requested: &str, signed: &str) -> bool {
    let ascii = |address: &str| {
        let (local, domain) = address.trim().rsplit_once('@')?;
        let url = reqwest::Url::parse(&format!("http://{domain}/")).ok();
        let ascii = url.as_ref().and_then(reqwest::Url::domain);
        Some(format!("{local}@{}", ascii.unwrap_or(domain)).to_lowercase())
    };
    ascii(requested).is_some_and(|requested| Some(requested) == ascii(signed))
}
