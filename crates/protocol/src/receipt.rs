//! Receipts: the gate's signed record of a person's decision.
//!
//! A compact JWS (RFC 7515), signed with Ed25519 (RFC 8037) or P-256 (RFC 7518). The key's type fixes the
//! algorithm. A resource that demands the receipt can verify it offline with the gate's public keys, without
//! trusting the agent that presents it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};

use crate::jws;
use crate::parameters::{Parameters, hex, sha256};
use crate::signing_key::SigningKey;
use crate::text::address_name;
use crate::types::{Key, KeySet};

/// The content of a receipt: registered claims of RFC 7519 where one fits, and the gate's own. Unknown
/// claims, which a later gate may add, are ignored (RFC 7519, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The gate, by its public base address.
    pub iss: String,
    /// The agent that submitted the request.
    pub aud: String,
    /// The object id in Entra of the program that submitted the request, if it identified itself by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_object_id: Option<String>,
    /// The approval's id.
    pub sub: String,
    /// The time of the decision, in seconds since 1970.
    pub iat: i64,
    /// For an approval: when it lapses, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The agent's name for the request.
    pub correlation_id: String,
    /// The action as it was described to people.
    pub action_description: String,
    /// SHA-256 of the canonical parameters that were shown, in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// SHA-256 of the secret that a claim must present, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimant: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// SHA-256 of the comment, if there is one, in 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_digest: Option<String>,
    /// SHA-256 of the question for a changed request, if the person asked one, in 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question_digest: Option<String>,
    /// The address of the person who decided; of several, the last one. `policy:RULE@DIGEST` where a rule of
    /// the operator's policy decided, `grant:ID` where a standing grant of a person did.
    pub approver: String,
    /// How that person was identified; of several approvals, the least sure.
    pub assurance: Assurance,
    /// The Entra object id of that person, if they signed in. It never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_object_id: Option<String>,
    /// When that person authenticated, in seconds since 1970, if they signed in and Entra said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The operator's authentication context of Conditional Access, such as `c1`, if the sign-in satisfied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_context: Option<String>,
    /// Where the policy asked for votes: all of them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// The policy that said who must agree, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The hand-overs through which a person who voted, or decided, came to do so, in order: where an approver
    /// handed their place to another person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed_over: Vec<HandOver>,
}

/// One of several votes. The last one of a person counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// The address of the person.
    pub approver: String,
    /// How that person was identified.
    pub assurance: Assurance,
    /// The Entra object id of that person, if they signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver_object_id: Option<String>,
    /// When that person authenticated, in seconds since 1970, if they signed in and Entra said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The operator's authentication context that the sign-in satisfied, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_context: Option<String>,
    /// What they chose.
    pub decision: Decision,
    /// When, in seconds since 1970.
    pub at: i64,
    /// The stage for which it counts, from 1.
    pub stage: u8,
    /// The group for which it counts.
    pub from: String,
}

/// The part of the operator's policy that applied to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// SHA-256 of the policy's text, in 64 hexadecimal digits.
    pub digest: String,
    /// The ids of the rules that applied.
    pub rules: Vec<String>,
    /// What had to be agreed, stage by stage; empty where the policy itself decided.
    pub stages: Vec<Vec<Ask>>,
}

/// An approver handed their place to another person, who decides instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The address of the approver.
    pub from: String,
    /// The address of the other person.
    pub to: String,
}

/// A number of approvals that had to come from a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The name of the group; `requested` for the people whom the agent named.
    pub from: String,
    /// The number of its members who had to approve.
    pub needed: u8,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The action may run.
    Approved,
    /// The action must not run.
    Rejected,
}

/// How the person who decided was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// By the personal link (and, for an approval, the one-time code) mailed to the address.
    Link,
    /// By the personal link alone: only a rejection, whose comment is not for the agent.
    LinkOnly,
    /// By sign-in with Microsoft Entra ID.
    Entra,
    /// No person: a rule of the operator's policy decided.
    Policy,
    /// No person now: a standing grant, which a person gave before for exactly these parameters, decided.
    Grant,
}

jws::define_error!(ReceiptError, "receipt");

/// An action that is about to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The agent that wants it.
    pub agent: &'a str,
    /// The action as it was described to people.
    pub action: &'a str,
    /// The parameters that it would run with.
    pub parameters: &'a Parameters,
}

/// What a resource demands of a receipt for a run, beyond what the gate demanded of people.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    run: Run<'a>,
    people: usize,
    rules: Vec<&'a str>,
}

impl<'a> Run<'a> {
    /// Demands that at least this number of people approved.
    pub fn at_least(self, people: usize) -> Demand<'a> {
        Demand::from(self).at_least(people)
    }

    /// Demands that this rule of the operator's policy applied.
    pub fn under_rule(self, rule: &'a str) -> Demand<'a> {
        Demand::from(self).under_rule(rule)
    }
}

impl<'a> Demand<'a> {
    /// Demands that at least this number of people approved, too.
    #[must_use]
    pub fn at_least(mut self, people: usize) -> Self {
        self.people = self.people.max(people);
        self
    }

    /// Demands that this rule of the operator's policy applied, too.
    #[must_use]
    pub fn under_rule(mut self, rule: &'a str) -> Self {
        self.rules.push(rule);
        self
    }
}

impl<'a> From<Run<'a>> for Demand<'a> {
    /// Demands nothing but an approval of the run.
    fn from(run: Run<'a>) -> Self {
        Self {
            run,
            people: 0,
            rules: Vec::new(),
        }
    }
}

impl<'a> From<&Run<'a>> for Demand<'a> {
    fn from(run: &Run<'a>) -> Self {
        Self::from(*run)
    }
}

/// Why a receipt does not permit a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// Another agent submitted the request.
    #[error("the receipt is for another agent")]
    OtherAgent,
    /// Another action was approved.
    #[error("the receipt is for another action")]
    OtherAction,
    /// Other parameters were approved.
    #[error("the receipt is for other parameters than those about to be run")]
    OtherParameters,
    /// The decision was a rejection.
    #[error("the receipt is for a rejection")]
    Rejected,
    /// The person who decided had the link alone, which is enough for a rejection only. No gate signs this.
    #[error("the receipt is for an approval without the code")]
    LinkOnly,
    /// The approval was not claimed in time.
    #[error("the approval has lapsed")]
    Lapsed,
    /// Fewer people approved than the resource demands.
    #[error("the receipt is for an approval by {approved} people, and this takes {demanded}")]
    TooFewPeople {
        /// The number of people who approved; 0 where a rule of the policy did.
        approved: usize,
        /// The number that the resource demands.
        demanded: usize,
    },
    /// A rule that the resource demands did not apply.
    #[error("the receipt is for an approval to which another rule of the policy applied, or none")]
    OtherRule,
}

impl Claims {
    /// Whether this is an approval of exactly this run that has not lapsed at `now` (seconds since 1970), and
    /// meets what the resource demands besides.
    ///
    /// ```
    /// # use human_oversight_protocol::receipt::{Claims, NotPermitted, Run};
    /// # fn check(claims: &Claims, run: Run<'_>, now: i64) -> Result<(), NotPermitted> {
    /// claims.permit(run, now)?; // approved
    /// claims.permit(run.at_least(2), now)?; // by two people
    /// claims.permit(run.at_least(2).under_rule("payments"), now)?; // as this rule of the policy says
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It does not say whether the approval was used before: the gate grants a claim once, and a resource
    /// that does not trust the agent must store [`Claims::sub`] until [`Claims::exp`] to recognise a
    /// receipt that is presented again. Nor does it say which gate decided: that is [`Claims::iss`].
    ///
    /// # Errors
    /// When it is not.
    pub fn permit<'a>(&self, demand: impl Into<Demand<'a>>, now: i64) -> Result<(), NotPermitted> {
        let Demand { run, people, rules } = demand.into();
        if self.aud != run.agent {
            return Err(NotPermitted::OtherAgent);
        }
        if self.action_description != run.action {
            return Err(NotPermitted::OtherAction);
        }
        if self.parameters_digest != hex(&run.parameters.digest()) {
            return Err(NotPermitted::OtherParameters);
        }
        if self.decision != Decision::Approved {
            return Err(NotPermitted::Rejected);
        }
        if self.assurance == Assurance::LinkOnly {
            return Err(NotPermitted::LinkOnly);
        }
        if self.exp.is_none_or(|exp| now >= exp) {
            return Err(NotPermitted::Lapsed);
        }
        if !self.is_approved_by_at_least(people) {
            return Err(NotPermitted::TooFewPeople {
                approved: self.approvals(),
                demanded: people,
            });
        }
        if !rules.iter().all(|rule| self.applied_rule(rule)) {
            return Err(NotPermitted::OtherRule);
        }
        Ok(())
    }

    /// The number of people who approved: distinct by object id where they signed in, else by address, without regard
    /// to case and `+tag`. 0 where a rule of the policy or a standing grant approved.
    pub fn approvals(&self) -> usize {
        let is_by_person = !matches!(self.assurance, Assurance::Policy | Assurance::Grant);
        if self.decision != Decision::Approved || !is_by_person {
            return 0;
        }
        if self.votes.is_empty() {
            return 1;
        }
        let is_last = |&(index, vote): &(usize, &Vote)| {
            let is_same = |it: &Vote| {
                address_name(&it.approver) == address_name(&vote.approver)
                    || (it.approver_object_id.is_some()
                        && it.approver_object_id == vote.approver_object_id)
            };
            !self.votes[index + 1..].iter().any(is_same)
        };
        let last = self.votes.iter().enumerate().filter(is_last);
        last.filter(|(_, vote)| vote.decision == Decision::Approved)
            .count()
    }

    /// The people in whose place the person who decided did, from that person back to the first one, whom the request
    /// or the policy named. It begins with the person who decided.
    pub fn decided_for(&self) -> Vec<&str> {
        let mut chain = vec![self.approver.as_str()];
        // A hand-over comes after the one by which its giver came to the place.
        for hand_over in self.handed_over.iter().rev() {
            if chain.last().is_some_and(|last| *last == hand_over.to) {
                chain.push(&hand_over.from);
            }
        }
        chain
    }

    /// Whether at least `people` people approved, for a resource that demands more than the gate may have.
    pub fn is_approved_by_at_least(&self, people: usize) -> bool {
        self.approvals() >= people
    }

    /// Whether this rule of the operator's policy applied.
    pub fn applied_rule(&self, rule: &str) -> bool {
        let policy = self.policy.as_ref();
        policy.is_some_and(|policy| policy.rules.iter().any(|it| it == rule))
    }
}

/// The `typ` of a receipt's header.
pub const TYPE: &str = "oversight-receipt+jwt";

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &SigningKey) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// The thumbprint of a key (RFC 7638, with SHA-256, base64url). It identifies the key whatever its name.
pub fn thumbprint(key: &Key) -> String {
    let mut members = BTreeMap::from([("crv", &key.crv), ("kty", &key.kty), ("x", &key.x)]);
    if key.kty == "EC" {
        members.extend(key.y.as_ref().map(|y| ("y", y)));
    }
    let canonical = serde_json::to_vec(&members).expect("texts are JSON");
    BASE64URL.encode(sha256(&canonical))
}

/// Verifies the signature and returns the claims.
///
/// This proves that the gate recorded the decision; [`Claims::permit`] says whether it permits a run.
/// `keys` must come from the gate's operator, or from the gate itself over a trusted connection, never from
/// the party that presents the receipt.
///
/// # Errors
/// When it is not a receipt that the gate made.
pub fn verify(receipt: &str, keys: &KeySet) -> Result<Claims, ReceiptError> {
    Ok(jws::verify(TYPE, receipt, keys)?)
}
