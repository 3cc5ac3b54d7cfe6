//! People who have left the operator's list of approvers while their request was open: they get no more email.

use super::approval::Approval;
use super::approver::Approver;
use super::delivery::{DeliveryFault, DeliveryState, Notice};
use crate::values::{Address, Timestamp};

impl Approval {
    /// Gives up the emails that are due to people whom `is_listed` does not have, and closes a pending request that the
    /// others cannot decide. Returns the emails, each with the index of its approver.
    pub fn give_up_unlisted(
        &mut self,
        is_listed: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) -> Vec<(usize, Notice)> {
        let mut given_up = self.give_up_due(&is_listed, now);
        let escalation = self.last_escalation();
        if escalation.is_some_and(|(_, people)| people.is_empty()) {
            for approver in &mut self.approvers {
                approver.drop_due(Notice::Escalation, now);
            }
        }
        self.close_if_unreachable(&is_listed, now);
        // The news of the end.
        given_up.extend(self.give_up_due(&is_listed, now));
        given_up
    }

    fn give_up_due(
        &mut self,
        is_listed: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) -> Vec<(usize, Notice)> {
        let people = self.approvers.iter_mut().enumerate();
        let unlisted = people.filter(|(_, approver)| !is_listed(&approver.address));
        unlisted
            .flat_map(|(person, approver)| {
                let notices = approver.give_up_due(now).into_iter();
                notices.map(move |notice| (person, notice))
            })
            .collect()
    }
}

impl Approver {
    fn give_up_due(&mut self, now: Timestamp) -> Vec<Notice> {
        let due = self.deliveries.iter_mut().filter(|it| it.state.is_due(now));
        due.map(|delivery| {
            delivery.state = DeliveryState::Failed(now);
            delivery.fault = Some(DeliveryFault::Refused);
            delivery.notice
        })
        .collect()
    }

    fn drop_due(&mut self, notice: Notice, now: Timestamp) {
        let due = self.deliveries.iter_mut().filter(|it| it.state.is_due(now));
        for delivery in due.filter(|it| it.notice == notice) {
            delivery.state = DeliveryState::Dropped(now);
        }
    }
}
