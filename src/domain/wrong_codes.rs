//! The wrong one-time codes that were entered with the links of one person, whatever request they were of.

use std::time::Duration;

use crate::values::Timestamp;

/// The wrong codes of a day that hold nothing back.
const FREE: u32 = 20;

/// How long codes are held back after one more wrong code than that; each further one doubles it.
const FIRST_HOLD: Duration = Duration::from_secs(60);
const LONGEST_HOLD: Duration = Duration::from_secs(15 * 60);

/// The doublings after which the longest hold is reached.
const DOUBLINGS: u32 = 4;

/// The time without a wrong code after which they are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

/// The wrong codes of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongCodes {
    pub count: u32,
    /// When the last one was entered.
    pub last_at: Timestamp,
}

impl WrongCodes {
    /// Counts one more, after those `before`.
    pub fn add(before: Option<Self>, now: Timestamp) -> Self {
        let before = before.filter(|it| now.since(it.last_at) < FORGOTTEN_AFTER);
        Self {
            count: before.map_or(0, |it| it.count).saturating_add(1),
            last_at: now,
        }
    }

    /// Until when no code of this person counts; `None` if it does now. Never later than 15 minutes from now, wherever
    /// the clock was that counted.
    pub fn held_until(self, now: Timestamp) -> Option<Timestamp> {
        let more = self.count.checked_sub(FREE)?;
        let hold = (FIRST_HOLD * 2_u32.pow(more.min(DOUBLINGS))).min(LONGEST_HOLD);
        Some(self.last_at.min(now) + hold).filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_wrong_code_doubles_the_hold_up_to_15_minutes() {
        let now = Timestamp::parse("2026-11-28T06:00:00.000Z").unwrap();
        let minutes = |count| {
            let codes = WrongCodes {
                count,
                last_at: now,
            };
            let until = codes.held_until(now);
            until.map(|until| until.since(now).as_secs() / 60)
        };
        assert_eq!(minutes(19), None);
        let holds = [20, 21, 22, 23, 24, 25, u32::MAX].map(minutes);
        assert_eq!(holds, [1, 2, 4, 8, 15, 15, 15].map(Some));
        let many = WrongCodes {
            count: 99,
            last_at: now + Duration::from_secs(7_200),
        };
        let until = many.held_until(now).unwrap();
        assert_eq!(until, now + LONGEST_HOLD, "another clock was ahead");
        assert_eq!(many.held_until(many.last_at + LONGEST_HOLD), None);
    }

    #[test]
    fn a_day_without_a_wrong_code_forgets_them() {
        let now = Timestamp::parse("2026-11-28T06:00:00.000Z").unwrap();
        let one = WrongCodes::add(None, now);
        let two = WrongCodes::add(Some(one), now + Duration::from_secs(86_399));
        let three = WrongCodes::add(Some(two), two.last_at + Duration::from_secs(86_400));
        assert_eq!([one, two, three].map(|it| it.count), [1, 2, 1]);
    }
}
