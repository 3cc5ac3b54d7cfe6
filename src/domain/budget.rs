//! Budgets for the emails that ask people, so that no owner floods anyone, and for the requests that the policy
//! decides: token buckets, each kept as the time at which it will be full again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::values::Timestamp;

/// The size of a bucket and the rate at which it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    burst: u32,
    per_hour: u32,
}

/// The budgets of each owner; `None` without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// For each recipient (`HO_MAIL_BUDGET`).
    pub recipient: Option<Budget>,
    /// For all recipients together (`HO_OWNER_BUDGET`).
    pub owner: Option<Budget>,
    /// For the requests that the policy decides (`HO_POLICY_BUDGET`).
    pub policy: Option<Budget>,
}

/// A bucket that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    pub bucket: Bucket,
    /// When the charge fits again.
    pub retry_after: Duration,
}

/// The kind of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Recipient,
    Owner,
    Policy,
}

/// What an owner has used: for each bucket that is not full, when it will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub owner: Option<Timestamp>,
    /// By the name of the recipient's bucket.
    pub recipients: BTreeMap<String, Timestamp>,
    pub policy: Option<Timestamp>,
}

/// What an owner is charged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// One email to each of these recipients, by the names of their buckets.
    Emails(Vec<String>),
    /// One request that the policy decides.
    PolicyDecision,
}

/// The recipients whose buckets are kept at a time. An owner who has asked more people is out of budget.
const MAX_RECIPIENTS: usize = 1_400;

impl Budget {
    /// Parses `BURST/HOUR`: what fits at once, and what is added per hour; 1 to `most` each.
    pub fn parse(text: &str, most: u32) -> Option<Self> {
        let (burst, per_hour) = text.split_once('/')?;
        let number = |text: &str| {
            let number: u32 = text.trim().parse().ok()?;
            (1..=most).contains(&number).then_some(number)
        };
        Some(Self {
            burst: number(burst)?,
            per_hour: number(per_hour)?,
        })
    }

    /// The time in which the bucket gains room for `count` more.
    fn time_for(self, count: usize) -> Duration {
        let millis = 3_600_000 * count as u64 / u64::from(self.per_hour);
        Duration::from_millis(millis)
    }

    /// When the bucket will be full after `count` more, or how long until they fit. A full bucket has room for
    /// any count.
    fn charge(
        self,
        full_at: Option<Timestamp>,
        count: usize,
        now: Timestamp,
    ) -> Result<Timestamp, Duration> {
        let full_at = full_at.map_or(now, |full_at| full_at.max(now)) + self.time_for(count);
        let room = self.time_for(self.burst as usize).max(self.time_for(count));
        match full_at.since(now).checked_sub(room) {
            None | Some(Duration::ZERO) => Ok(full_at),
            Some(wait) => Err(wait),
        }
    }
}

impl Usage {
    /// Charges all of it, or nothing.
    ///
    /// # Errors
    /// The bucket that is used up.
    pub fn charge(
        &mut self,
        charge: &Charge,
        budgets: Budgets,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        self.forget_full_buckets(now);
        match charge {
            Charge::Emails(recipients) => self.charge_emails(recipients, budgets, now),
            Charge::PolicyDecision => {
                if let Some(budget) = budgets.policy {
                    let full_at = budget.charge(self.policy, 1, now);
                    self.policy = Some(full_at.map_err(|retry_after| Exhausted {
                        bucket: Bucket::Policy,
                        retry_after,
                    })?);
                }
                Ok(())
            }
        }
    }

    fn charge_emails(
        &mut self,
        recipients: &[String],
        budgets: Budgets,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        let mut charged = self.clone();
        if let Some(budget) = budgets.owner {
            let full_at = budget.charge(self.owner, recipients.len(), now);
            charged.owner = Some(full_at.map_err(|retry_after| Exhausted {
                bucket: Bucket::Owner,
                retry_after,
            })?);
        }
        if let Some(budget) = budgets.recipient {
            for name in recipients {
                let full_at = charged.recipients.get(name).copied();
                let full_at = budget.charge(full_at, 1, now);
                let full_at = full_at.map_err(|retry_after| Exhausted {
                    bucket: Bucket::Recipient,
                    retry_after,
                })?;
                charged.recipients.insert(name.clone(), full_at);
            }
        }
        if charged.recipients.len() > MAX_RECIPIENTS {
            let first = charged.recipients.values().min();
            return Err(Exhausted {
                bucket: Bucket::Owner,
                retry_after: first.map_or(Duration::ZERO, |first| first.since(now)),
            });
        }
        *self = charged;
        Ok(())
    }

    /// Takes back a charge.
    pub fn refund(&mut self, charge: &Charge, budgets: Budgets, now: Timestamp) {
        match charge {
            Charge::Emails(recipients) => self.refund_emails(recipients, budgets),
            Charge::PolicyDecision => {
                if let (Some(full_at), Some(budget)) = (self.policy, budgets.policy) {
                    self.policy = Some(full_at - budget.time_for(1));
                }
            }
        }
        self.forget_full_buckets(now);
    }

    fn refund_emails(&mut self, recipients: &[String], budgets: Budgets) {
        if let (Some(full_at), Some(budget)) = (self.owner, budgets.owner) {
            self.owner = Some(full_at - budget.time_for(recipients.len()));
        }
        if let Some(budget) = budgets.recipient {
            for name in recipients {
                if let Some(full_at) = self.recipients.get_mut(name) {
                    *full_at = *full_at - budget.time_for(1);
                }
            }
        }
    }

    fn forget_full_buckets(&mut self, now: Timestamp) {
        self.owner = self.owner.filter(|full_at| *full_at > now);
        self.policy = self.policy.filter(|full_at| *full_at > now);
        self.recipients.retain(|_, full_at| *full_at > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGETS: Budgets = Budgets {
        recipient: Some(Budget {
            burst: 2,
            per_hour: 60,
        }),
        owner: Some(Budget {
            burst: 5,
            per_hour: 3_600,
        }),
        policy: Some(Budget {
            burst: 3,
            per_hour: 3_600,
        }),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000).unwrap()
    }

    fn names(names: &[&str]) -> Charge {
        Charge::Emails(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_bucket_takes_a_burst_and_then_its_rate() {
        let mut usage = Usage::default();
        let alice = names(&["alice"]);
        let dry = |seconds| {
            Err(Exhausted {
                bucket: Bucket::Recipient,
                retry_after: Duration::from_secs(seconds),
            })
        };
        for (time, result) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, dry(60)),
            (59, dry(1)),
            (60, Ok(())),
            (60, dry(60)),
            (1_000, Ok(())),
            (1_000, Ok(())),
            (1_000, dry(60)),
        ] {
            assert_eq!(usage.charge(&alice, BUDGETS, at(time)), result, "{time}");
        }
        assert_eq!(usage.charge(&names(&["bob"]), BUDGETS, at(1_000)), Ok(()));
    }

    #[test]
    fn an_owner_has_one_bucket_for_all_recipients_and_a_refusal_charges_nothing() {
        let mut usage = Usage::default();
        let four = names(&["a", "b", "c", "d"]);
        assert_eq!(usage.charge(&four, BUDGETS, at(0)), Ok(()));
        let before = usage.clone();
        let refused = usage
            .charge(&names(&["e", "f"]), BUDGETS, at(0))
            .unwrap_err();
        assert_eq!(refused.bucket, Bucket::Owner);
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert_eq!(usage, before);
        // More than the burst fit into a full bucket.
        let many = (0..20).map(|n| n.to_string()).collect();
        let many = Charge::Emails(many);
        assert_eq!(usage.charge(&many, BUDGETS, at(60)), Ok(()));
    }

    #[test]
    fn a_refund_takes_back_a_charge_and_full_buckets_are_forgotten() {
        let mut usage = Usage::default();
        let both = names(&["a", "b"]);
        usage.charge(&both, BUDGETS, at(0)).unwrap();
        usage.refund(&both, BUDGETS, at(0));
        assert_eq!(usage, Usage::default());
        usage.charge(&both, BUDGETS, at(0)).unwrap();
        usage.charge(&names(&["c"]), BUDGETS, at(3_600)).unwrap();
        assert_eq!(usage.recipients.len(), 1);
    }

    #[test]
    fn what_the_policy_decides_has_a_bucket_of_its_own() {
        let mut usage = Usage::default();
        let decision = Charge::PolicyDecision;
        for _ in 0..3 {
            assert_eq!(usage.charge(&decision, BUDGETS, at(0)), Ok(()));
        }
        let before = usage.clone();
        let dry = Exhausted {
            bucket: Bucket::Policy,
            retry_after: Duration::from_secs(1),
        };
        assert_eq!(usage.charge(&decision, BUDGETS, at(0)), Err(dry));
        assert_eq!(usage, before);
        assert_eq!(usage.charge(&names(&["a", "b"]), BUDGETS, at(0)), Ok(()));
        usage.refund(&decision, BUDGETS, at(0));
        assert_eq!(usage.charge(&decision, BUDGETS, at(0)), Ok(()));
        let off = Budgets {
            policy: None,
            ..BUDGETS
        };
        assert_eq!(usage.charge(&decision, off, at(0)), Ok(()));
    }

    #[test]
    fn a_budget_is_two_numbers() {
        assert_eq!(Budget::parse("2/60", 3_600), BUDGETS.recipient);
        for text in [
            "", "2", "2/", "/60", "0/60", "2/0", "3601/1", "-1/2", "2/60/1",
        ] {
            assert_eq!(Budget::parse(text, 3_600), None, "{text}");
        }
    }
}
