//! Whether an approval is proven to be one of exactly this action.

use std::time::Duration;

use human_oversight_protocol::parameters::Parameters;
use human_oversight_protocol::receipt::{self, NotPermitted, Run};
use human_oversight_protocol::types::{Approval, KeySet};
use time::OffsetDateTime;

use crate::action::Action;
use crate::outcome::Refusal;
use crate::retry::retry_transient;

/// By how much the clocks of agent and gate may differ.
pub(crate) const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

impl Action {
    /// The keys to verify receipts with. The gate's published keys change rarely: they are fetched again
    /// only when those known do not verify this receipt.
    pub(crate) async fn keys(&self, decided: &Approval) -> Result<KeySet, Refusal> {
        let gate = &self.gate;
        if let Some(keys) = &gate.trusted {
            return Ok(keys.clone());
        }
        let known = gate.published().clone();
        if let Some(receipt) = &decided.receipt
            && receipt::verify(receipt, &known).is_ok()
        {
            return Ok(known);
        }
        let published = retry_transient(|| gate.client.keys()).await?;
        gate.published().clone_from(&published);
        Ok(published)
    }

    /// Returns the receipt if it permits this action under this id with these parameters, now.
    pub(crate) fn verify(
        &self,
        id: &str,
        approval: &Approval,
        parameters: &Parameters,
        keys: &KeySet,
    ) -> Result<String, Refusal> {
        let unverified = |what: &str| Err(Refusal::unverified(what));
        let Some(receipt) = &approval.receipt else {
            return unverified("the approval has no receipt");
        };
        let claims = receipt::verify(receipt, keys).map_err(Refusal::unverified)?;
        if claims.sub != id {
            return unverified("the receipt is for another request");
        }
        let run = Run {
            agent: &self.gate.agent,
            action: &self.description,
            parameters,
        };
        let leeway = CLOCK_LEEWAY.as_secs();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        match claims.permit(&run, now.saturating_sub_unsigned(leeway)) {
            Ok(()) => {}
            Err(NotPermitted::Lapsed) => return Err(Refusal::lapsed()),
            Err(other) => return Err(Refusal::unverified(other)),
        }
        let mut approvers = self.gate.approvers.iter();
        if !approvers.any(|approver| is_same_address(approver, &claims.approver)) {
            return unverified("the receipt names a person who is not an approver");
        }
        Ok(receipt.clone())
    }
}

/// Compares addresses without regard to case, and domains in ASCII: the gate signs a domain as A-labels
/// (RFC 5890), an agent may name it in Unicode.
fn is_same_address(requested: &str, signed: &str) -> bool {
    let ascii = |address: &str| {
        let (local, domain) = address.trim().rsplit_once('@')?;
        let url = reqwest::Url::parse(&format!("http://{domain}/")).ok()?;
        Some(format!("{local}@{}", url.host_str()?).to_lowercase())
    };
    ascii(requested).is_some_and(|requested| Some(requested) == ascii(signed))
}
