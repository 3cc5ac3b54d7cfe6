//! Sends the deliveries that this process has leased, emails and the events for channels, and stores their results: in one
//! write, unless a channel is slow. A failed delivery does not fail the use case; the sweep retries it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::Error;
use super::state::App;
use crate::domain::{
    Approval, ChannelAttempt, ChannelResult, DeliveryFault, Earlier, Notice, SendAttempt,
    SendResult, State,
};
use crate::mailer::{Email, MailError};
use crate::render;
use crate::store::Versioned;
use crate::values::{ApprovalId, Timestamp};

/// The timeout for an email while an agent waits for the response of submit.
pub(super) const SUBMIT_SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout for every other email: shorter than a send lease, and long enough for a relay that greets after
/// 20 s, as some do to put off senders of spam.
pub(super) const BACKGROUND_SEND_TIMEOUT: Duration = Duration::from_secs(45);

/// How long the results of emails wait for those of channels. What is sent and not stored is sent again if the process
/// ends, and a channel can take long.
const ONE_WRITE: Duration = Duration::from_secs(1);

/// The deliveries that this process has leased.
#[derive(Default)]
pub(super) struct Leased {
    pub(super) emails: Vec<SendAttempt>,
    pub(super) channels: Vec<ChannelAttempt>,
}

impl Leased {
    fn is_empty(&self) -> bool {
        self.emails.is_empty() && self.channels.is_empty()
    }
}

impl App {
    /// Leases every delivery that is due, but for reminders.
    pub(super) fn lease(&self, approval: &mut Approval, now: Timestamp) -> Leased {
        self.give_up_unlisted(approval, now);
        Leased {
            emails: approval.lease_all_but_reminders(self.config.notifications, now),
            ..self.lease_for_channels(approval, now)
        }
    }

    /// Leases within the write of a form. What is recorded while the request stays pending can open a stage, whose people
    /// are then asked at once.
    pub(super) fn lease_after_form(
        &self,
        approval: &mut Approval,
        is_recorded: bool,
        now: Timestamp,
    ) -> Leased {
        if is_recorded && approval.state == State::Pending {
            self.lease(approval, now)
        } else {
            self.lease_for_channels(approval, now)
        }
    }

    /// Leases every delivery that is due.
    pub(super) fn lease_all(&self, approval: &mut Approval, now: Timestamp) -> Leased {
        self.give_up_unlisted(approval, now);
        Leased {
            emails: approval.lease_deliveries(self.config.notifications, now),
            ..self.lease_for_channels(approval, now)
        }
    }

    /// Gives up the emails to people who have left the operator's list.
    fn give_up_unlisted(&self, approval: &mut Approval, now: Timestamp) {
        let list = &self.config.allowed_approvers;
        let given_up = approval.give_up_unlisted(|address| list.allows(address), now);
        for (person, notice) in given_up {
            let id = approval.request.id.to_string();
            let (kind, approver) = (notice.word(), person + 1);
            let cause = "no longer on the list of approvers";
            tracing::warn!(id, kind, approver, cause, "email not sent");
        }
    }

    /// Sends what is `leased`, each email within a timeout, and stores the results. Emails that ask show the `earlier`
    /// requests. Also returns how many emails were accepted.
    pub(super) async fn notify(
        self: &Arc<Self>,
        row: Versioned,
        leased: Leased,
        earlier: &Earlier,
        within: Duration,
    ) -> Result<(Approval, usize), Error> {
        if leased.is_empty() {
            return Ok((row.approval, 0));
        }
        let messages = self.messages(&row.approval, leased.channels);
        let mut telling = pin!(self.tell(messages));
        let (sent, told) = {
            let sending = pin!(self.send(&row.approval, leased.emails, earlier, within));
            match select(sending, telling.as_mut()).await {
                Either::Left((sent, telling)) => (sent, timeout(ONE_WRITE, telling).await.ok()),
                Either::Right((told, sending)) => (sending.await, Some(told)),
            }
        };
        let count = sent
            .iter()
            .filter(|(_, it)| *it == SendResult::Sent)
            .count();
        let row = match told {
            Some(told) => self.record(row, &sent, &told).await?,
            None if sent.is_empty() => self.record(row, &[], &telling.await).await?,
            None => {
                let row = self.record(row, &sent, &[]).await?;
                self.record(row, &[], &telling.await).await?
            }
        };
        Ok((row.approval, count))
    }

    /// Stores the results of attempts.
    async fn record(
        &self,
        row: Versioned,
        sent: &[(SendAttempt, SendResult)],
        told: &[(ChannelAttempt, ChannelResult)],
    ) -> Result<Versioned, Error> {
        let recording = self.update(row, |approval, now| {
            for (attempt, result) in sent {
                approval.record_delivery_result(*attempt, *result, now);
            }
            for (attempt, result) in told {
                approval.record_channel_result(attempt, *result, now);
            }
            Ok(())
        });
        let (row, ()) = recording.await?;
        for (attempt, _) in sent {
            let approver = &row.approval.approvers[attempt.approver];
            let mut deliveries = approver.deliveries.iter();
            if deliveries.any(|it| it.notice == attempt.notice && it.was_given_up()) {
                let id = row.approval.request.id.to_string();
                let (kind, approver) = (attempt.notice.word(), attempt.approver + 1);
                tracing::warn!(id, kind, approver, "email given up");
            }
        }
        Ok(row)
    }

    /// As [`App::notify`], in a background task: the caller does not wait for it. What is not sent, the sweep sends when its
    /// lease ends. Returns the approval as it was before.
    pub(super) fn notify_in_background(
        self: &Arc<Self>,
        row: Versioned,
        leased: Leased,
    ) -> Approval {
        if leased.is_empty() {
            return row.approval;
        }
        let (app, approval) = (self.clone(), row.approval.clone());
        let sending = async move {
            let id = row.approval.request.id.to_string();
            let earlier = app.earlier_for(&row.approval, &leased.emails).await;
            if let Err(error) = app
                .notify(row, leased, &earlier, BACKGROUND_SEND_TIMEOUT)
                .await
            {
                let cause = error.cause();
                tracing::warn!(id, cause, "the results of deliveries could not be stored");
            }
        };
        self.calls.in_background(sending);
        approval
    }

    /// Queues an email about an earlier request, for the next sweep, in its own task: no one waits for it.
    pub(super) fn queue_in_background(
        self: &Arc<Self>,
        id: &ApprovalId,
        queue: impl Fn(&mut Approval, Timestamp) + Send + Sync + 'static,
    ) {
        let (app, id) = (self.clone(), id.clone());
        let queueing = async move {
            let row = app.load(&id).await?;
            let updating = app.update(row, |approval, now| {
                queue(approval, now);
                Ok(())
            });
            updating.await.map(drop)
        };
        let queueing = async move {
            let queued: Result<(), Error> = queueing.await;
            if let Err(error) = queued {
                tracing::warn!(cause = error.cause(), "a notice could not be queued");
            }
        };
        self.calls.in_background(queueing);
    }

    async fn send(
        &self,
        approval: &Approval,
        attempts: Vec<SendAttempt>,
        earlier: &Earlier,
        within: Duration,
    ) -> Vec<(SendAttempt, SendResult)> {
        let is_first = |it: &SendAttempt| it.notice == Notice::Request && it.number == 1;
        let asks_anew = attempts.iter().any(is_first);
        let (results, ()) = tokio::join!(
            self.send_emails(approval, attempts, earlier, within),
            self.keep_message_group(approval, asks_anew),
        );
        results
    }

    async fn send_emails(
        &self,
        approval: &Approval,
        attempts: Vec<SendAttempt>,
        earlier: &Earlier,
        within: Duration,
    ) -> Vec<(SendAttempt, SendResult)> {
        let mut sending = JoinSet::new();
        let mut results = Vec::with_capacity(attempts.len());
        let id = approval.request.id.to_string();
        for attempt in attempts {
            let Some(email) = self.email(approval, attempt, earlier) else {
                let (kind, approver) = (attempt.notice.word(), attempt.approver + 1);
                let cause = "the link key of the request is missing";
                tracing::warn!(id, kind, approver, cause, "email not sent");
                // Once the operator has put the key back, the person can still be asked.
                let fault = if attempt.notice.asks() {
                    DeliveryFault::Misconfigured
                } else {
                    DeliveryFault::Refused
                };
                results.push((attempt, SendResult::Failed(fault, None)));
                continue;
            };
            let mailer = self.mailer.clone();
            sending.spawn(async move { (attempt, mailer.send(&email, within).await) });
        }
        while let Some(sent) = sending.join_next().await {
            // After a panic the lease expires, and the sweep retries the delivery.
            let Ok((attempt, sent)) = sent else { continue };
            // The position in `approverEmails`; never the address.
            let (kind, approver) = (attempt.notice.word(), attempt.approver + 1);
            let result = match &sent {
                Ok(()) => {
                    tracing::info!(id, kind, approver, "email sent");
                    SendResult::Sent
                }
                Err(error) => {
                    tracing::warn!(id, kind, approver, cause = %error, "email not sent");
                    send_result(error)
                }
            };
            results.push((attempt, result));
        }
        results
    }

    fn email(&self, approval: &Approval, attempt: SendAttempt, earlier: &Earlier) -> Option<Email> {
        let page = format!("{}/api/decision/{}", self.base_url, approval.request.id);
        let token = self.link_keys.link_token(approval, attempt.approver)?;
        let code = self.link_keys.one_time_code(approval, attempt.approver)?;
        let now = self.now();
        let message_id =
            self.link_keys
                .message_id(approval, attempt.approver, attempt.notice, now)?;
        let with_token = format!("{page}?k={token}");
        let needs_sign_in = self.must_sign_in(approval, attempt.approver);
        let secrets = if needs_sign_in {
            let takes_link = approval.request.needs_step_up;
            render::EmailSecrets {
                message_id,
                link: if takes_link { with_token } else { page },
                code: None,
                list: Some(format!("{}/api/requests", self.base_url)),
            }
        } else {
            render::EmailSecrets {
                message_id,
                link: with_token,
                code: Some(code),
                list: None,
            }
        };
        let disclosure = self.config.parameter_disclosure;
        let brand = &self.config.brand;
        Some(render::render_email(
            approval, attempt, earlier, &secrets, disclosure, brand, now,
        ))
    }
}

fn send_result(error: &MailError) -> SendResult {
    let (fault, retry_after) = match error {
        MailError::Busy => return SendResult::NotTried,
        MailError::Refused(_) => (DeliveryFault::Refused, None),
        MailError::Unavailable(_, retry_after) => (DeliveryFault::Unavailable, *retry_after),
        MailError::Misconfigured(_) => (DeliveryFault::Misconfigured, None),
        MailError::OutcomeUnknown(_) => (DeliveryFault::Unclear, None),
    };
    SendResult::Failed(fault, retry_after)
}
