//! Standing grants on the page: the offer beside an approval, and what became of the one that was given.

use std::time::Duration;

use super::subject::short_id;
use super::time::{Sentence, Zone};
use crate::domain::{GrantEnd, GrantState, GrantTerms, GrantWish, HeldGrant};
use crate::values::{Address, Timestamp};

/// The times that are offered, as far as the rule allows.
const OFFERED: [Duration; 3] = [
    Duration::from_secs(15 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(8 * 3_600),
];

/// The choice of a standing grant in the form that decides.
pub struct GrantOffer {
    pub(super) choices: Vec<GrantChoice>,
    pub(super) uses: u32,
}

pub(super) struct GrantChoice {
    pub(super) seconds: u64,
    pub(super) words: String,
    pub(super) is_chosen: bool,
}

impl GrantOffer {
    /// What the rule allows, with what was chosen before.
    pub fn new(terms: GrantTerms, wish: Option<GrantWish>) -> Self {
        let mut times: Vec<Duration> = OFFERED
            .into_iter()
            .filter(|it| *it < terms.longest)
            .collect();
        times.push(terms.longest);
        let choices = times.into_iter().map(|time| GrantChoice {
            seconds: time.as_secs(),
            words: words(time),
            is_chosen: wish.is_some_and(|wish| wish.lasts == time),
        });
        Self {
            choices: choices.collect(),
            uses: wish.map_or(GrantTerms::DEFAULT_USES, |wish| wish.uses),
        }
    }

    pub(super) fn is_chosen(&self) -> bool {
        self.choices.iter().any(|choice| choice.is_chosen)
    }

    pub(super) fn are_uses_allowed(&self) -> bool {
        (1..=GrantTerms::MOST_USES.into()).contains(&self.uses)
    }
}

/// The standing grant that an approver gave.
pub struct GrantView {
    pub(super) what: Sentence,
    can_end: bool,
    /// The request of the giver's newer grant, which took the place of this one.
    pub(super) newer: Option<String>,
}

impl GrantView {
    /// `is_accepted` says whether it would approve the same again today.
    pub fn new(held: &HeldGrant, is_accepted: bool, zone: &Zone, now: Timestamp) -> Self {
        let grant = &held.signed.grant;
        let used = match held.used {
            0 => "It has approved nothing yet.".to_owned(),
            1 => "It has approved 1 request.".to_owned(),
            used => format!("It has approved {used} requests."),
        };
        let state = held.state(now);
        let what = match state {
            GrantState::Active { .. } if !is_accepted => Sentence::new(
                "The standing grant that you gave approves nothing now: the organisation's rules, or the people whom they \
                 ask, have changed. It lasts until ",
            )
            .time(zone.time(grant.until))
            .words("."),
            GrantState::Active { left } => {
                let times = if left == 1 { "once" } else { "times" };
                let count = if left == 1 {
                    String::new()
                } else {
                    format!("{left} ")
                };
                Sentence::new(format!(
                    "You also allow this agent exactly the same, {count}{times} more, until "
                ))
                .time(zone.time(grant.until))
                .words(".")
            }
            GrantState::UsedUp => Sentence::new("The standing grant that you gave is used up."),
            GrantState::Expired => Sentence::new("The standing grant that you gave ended on ")
                .time(zone.time(grant.until))
                .words("."),
            GrantState::Ended(at, by) => {
                let by = match by {
                    GrantEnd::Giver => "You ended",
                    GrantEnd::Operator => "The operator ended",
                    GrantEnd::Rejection => {
                        "A person rejected such a request, or revoked the approval of one, which ended"
                    }
                    GrantEnd::Pause => "A pause by the operator ended",
                };
                Sentence::new(format!("{by} the standing grant that you gave, on "))
                    .time(zone.time(at))
                    .words(".")
            }
        };
        let can_end = held.is_in_force(now);
        let is_over = state == GrantState::UsedUp || !is_accepted && held.used > 0;
        let unclaimed = if can_end && is_over {
            " What it has approved and the agent has not started can still run, until you end it."
        } else {
            ""
        };
        Self {
            what: what.words(format!(" {used}{unclaimed}")),
            can_end,
            newer: None,
        }
    }

    /// Whether its giver can end it.
    pub fn can_end(&self) -> bool {
        self.can_end
    }

    /// A grant whose place a newer one for exactly the same took, on the page of a `giver`. Only who `has_list` can open
    /// the page of another request of theirs from here.
    pub fn replaced(
        newer: &HeldGrant,
        giver: &Address,
        has_list: bool,
        zone: &Zone,
        now: Timestamp,
    ) -> Self {
        let grant = &newer.signed.grant;
        let is_own = grant.giver == *giver;
        let request = &grant.given_with;
        let by = if is_own { "you" } else { grant.giver.as_str() };
        let ends = if !newer.is_in_force(now) {
            String::new()
        } else if is_own {
            " You can end the newer one on the page of that request.".to_owned()
        } else {
            format!(
                " {by} or the operator can end the newer one, and so does a rejection of the same."
            )
        };
        let what = Sentence::new(format!(
            "A newer one for exactly the same took the place of the standing grant that you gave: {by} gave it with #{}, on ",
            short_id(request)
        ));
        let what = what.time(zone.time(grant.given_at)).words(format!(
            ". What yours has approved and the agent has not started does not run.{ends}"
        ));
        Self {
            what,
            can_end: false,
            newer: (is_own && has_list).then(|| request.to_string()),
        }
    }
}

/// A time in the largest unit in which it is whole.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let whole = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, name) = whole.copied().unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}
