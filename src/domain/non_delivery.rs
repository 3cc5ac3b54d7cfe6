//! Recording that an email did not arrive, as the mail service reports after it has accepted it.

use super::approval::Approval;
use super::delivery::{DeliveryFault, DeliveryState, Notice};
use crate::values::Timestamp;

impl Approval {
    /// Records that the email of a notice did not arrive: the delivery has failed permanently, also while its last
    /// attempt is still under way. Closes a pending request as [`Approval::record_delivery_result`] does. Returns
    /// whether that is new: a repeated report, or one about an email that was not sent, changes nothing.
    pub fn record_non_delivery(&mut self, approver: usize, notice: Notice, now: Timestamp) -> bool {
        let deliveries = &mut self.approvers[approver].deliveries;
        let sent = deliveries.iter_mut().find(|delivery| {
            let is_over = matches!(
                delivery.state,
                DeliveryState::Failed(_) | DeliveryState::Dropped(_)
            );
            delivery.notice == notice && delivery.attempts > 0 && !is_over
        });
        let Some(delivery) = sent else { return false };
        delivery.state = DeliveryState::Failed(now);
        delivery.fault = Some(DeliveryFault::Refused);
        self.close_if_unreachable(|_| true, now);
        true
    }
}
