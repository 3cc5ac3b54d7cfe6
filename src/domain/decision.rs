//! A person's decision, before and after it is signed.

use std::fmt;

pub use super::assurance::{Assurance, SignInFault, SignedIn};
use super::grant::SignedGrant;
use crate::values::word::words;
use crate::values::{Address, Digest, Timestamp};

words! {
    /// An approver's choice.
    pub enum Verdict {
        Approve,
        Reject,
    }
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// An approver; of several votes, the last one decided.
    Person {
        address: Address,
        /// How they were identified; of several approvals, the least sure.
        assurance: Assurance,
    },
    /// A rule of the operator's policy.
    Policy { rule: String, digest: Digest },
    /// A standing grant that an approver gave before.
    Grant(Box<SignedGrant>),
}

impl Decider {
    /// The address of the approver, if one decided.
    pub fn person(&self) -> Option<&Address> {
        match self {
            Self::Person { address, .. } => Some(address),
            Self::Policy { .. } | Self::Grant(_) => None,
        }
    }

    /// How the approver was identified, if one decided.
    pub fn assurance(&self) -> Option<Assurance> {
        match self {
            Self::Person { assurance, .. } => Some(*assurance),
            Self::Policy { .. } | Self::Grant(_) => None,
        }
    }
}

impl fmt::Display for Decider {
    /// The address of a person, `policy:RULE@` and the first 8 digits of the policy's digest, or `grant:ID`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { address, .. } => address.fmt(f),
            Self::Policy { rule, digest } => {
                let digest = digest.to_string();
                write!(f, "policy:{rule}@{}", &digest[..8])
            }
            Self::Grant(signed) => write!(f, "grant:{}", signed.grant.id),
        }
    }
}

/// What a person wrote with a decision or a vote, or the reason of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The reason that the person chose from the list, for a rejection.
    pub preset: Option<String>,
    pub comment: Option<String>,
    /// What the person asks of the agent for a changed request, for a rejection.
    pub question: Option<String>,
}

impl Words {
    /// The reason and the comment, for people: `preset: comment`, or the one that there is.
    pub fn shown(&self) -> Option<String> {
        join(self.preset.as_deref(), ": ", self.comment.as_deref())
    }

    /// As [`Words::shown`], with the question, as one text.
    pub fn shown_with_question(&self) -> Option<String> {
        let question = self.question.as_ref();
        let question = question.map(|it| format!("Asked for changes: {it}"));
        join(self.shown().as_deref(), "\n", question.as_deref())
    }

    /// What the agent gets of the reason and the comment: not the comment of someone who had the link alone.
    pub fn for_agent(&self, by: Option<Assurance>) -> Option<String> {
        let comment = self.comment.as_deref().filter(|_| is_known(by));
        join(self.preset.as_deref(), ": ", comment)
    }

    /// The question, where the agent gets it: under the same rule as a comment.
    pub fn question_for_agent(&self, by: Option<Assurance>) -> Option<&str> {
        self.question.as_deref().filter(|_| is_known(by))
    }

    /// Whether anyone with the link can have written some of them, which the agent does not get.
    pub fn are_unproven(&self, by: Option<Assurance>) -> bool {
        !is_known(by) && (self.comment.is_some() || self.question.is_some())
    }
}

fn is_known(by: Option<Assurance>) -> bool {
    by != Some(Assurance::LinkOnly)
}

/// A comment, and the words typed beside the button that rejects.
pub fn join_lines(comment: Option<&str>, words: Option<&str>) -> Option<String> {
    join(comment, "\n", words)
}

fn join(one: Option<&str>, between: &str, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}{between}{other}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// A final decision with its receipt, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub by: Decider,
    pub words: Words,
    pub at: Timestamp,
    /// The signed receipt, made in the same write.
    pub receipt: String,
}

/// A decision that the rules allow, not yet signed and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub by: Decider,
    pub words: Words,
    pub at: Timestamp,
    /// The deadline for claiming an approval; `None` for a rejection.
    pub run_by: Option<Timestamp>,
}

impl Proposal {
    pub fn verdict(&self) -> Verdict {
        if self.run_by.is_some() {
            Verdict::Approve
        } else {
            Verdict::Reject
        }
    }
}

/// A decision submitted after the deadline; it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateDecision {
    /// The approver who submitted it.
    pub by: Address,
    /// What they would have decided.
    pub verdict: Verdict,
    pub at: Timestamp,
}
