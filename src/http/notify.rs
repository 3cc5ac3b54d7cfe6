//! Save, then notify: sends the mails that a stored row says are ours to send, and stores how that
//! went. A mail that fails undoes nothing; the sweep tries it again.

use std::time::Duration;

use tokio::task::JoinSet;

use super::App;
use super::error::Error;
use crate::approval::{Approval, Attempt, MailFault, MailKind, MailResult};
use crate::mailer::{Email, MailError};
use crate::store::Versioned;
use crate::views;

/// How long a mail may take while the agent waits for its submit, and how long later. A lease is
/// longer.
const AWAITED: Duration = Duration::from_secs(5);
const PATIENT: Duration = Duration::from_secs(20);

impl App {
    /// Sends `attempts` and returns the request as it stands then.
    pub(super) async fn notify(
        &self,
        row: Versioned,
        attempts: Vec<Attempt>,
    ) -> Result<Approval, Error> {
        if attempts.is_empty() {
            return Ok(row.approval);
        }
        let approval = &row.approval;
        let mut sending = JoinSet::new();
        let mut results = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            match self.email(approval, attempt) {
                Some(email) => {
                    let mailer = self.mailer.clone();
                    let is_awaited = attempt.kind == MailKind::Question && attempt.number == 1;
                    let within = if is_awaited { AWAITED } else { PATIENT };
                    sending.spawn(async move { (attempt, mailer.send(&email, within).await) });
                }
                // Its link's key was taken out of the ring: nobody can make that link again.
                None => results.push((attempt, MailResult::Failed(MailFault::Refused, None))),
            }
        }
        let id = approval.request.id.to_string();
        while let Some(sent) = sending.join_next().await {
            // A panic in there leaves the lease to run out, and the mail is tried again.
            let Ok((attempt, sent)) = sent else { continue };
            // Which of them, as `approverEmails` counts; never who.
            let (kind, approver) = (attempt.kind.word(), attempt.approver + 1);
            let result = match &sent {
                Ok(()) => {
                    tracing::info!(id, kind, approver, "a mail was sent");
                    MailResult::Sent
                }
                Err(error) => {
                    let (fault, not_before) = of(error);
                    // What is wrong with the settings is said once, by the mailer.
                    if fault != MailFault::Misconfigured {
                        tracing::warn!(id, kind, approver, cause = %error, "a mail was not sent");
                    }
                    MailResult::Failed(fault, not_before)
                }
            };
            results.push((attempt, result));
        }
        let (row, ()) = self
            .change_row(row, |approval, now| {
                for (attempt, result) in &results {
                    approval.settle_mail(*attempt, *result, now);
                }
                Ok(())
            })
            .await?;
        Ok(row.approval)
    }

    fn email(&self, approval: &Approval, attempt: Attempt) -> Option<Email> {
        let page = format!("{}/api/decision/{}", self.base_url, approval.request.id);
        let (link, code) = (
            self.link_keys.link(approval, attempt.approver)?,
            self.link_keys.code(approval, attempt.approver)?,
        );
        let sign_in = self.config.sign_in.as_ref();
        let secrets = match sign_in.is_some_and(|it| it.is_needed_for(&approval.request.action)) {
            true => views::Secrets {
                link: page,
                code: None,
            },
            false => views::Secrets {
                link: format!("{page}?k={link}"),
                code: Some(code),
            },
        };
        Some(views::email(
            approval,
            attempt,
            &secrets,
            &self.config,
            self.now(),
        ))
    }
}

fn of(error: &MailError) -> (MailFault, Option<Duration>) {
    match error {
        MailError::Refused(_) => (MailFault::Refused, None),
        MailError::Unavailable(_, not_before) => (MailFault::Unavailable, *not_before),
        MailError::Misconfigured(_) => (MailFault::Misconfigured, None),
        MailError::Unclear(_) => (MailFault::Unclear, None),
    }
}
