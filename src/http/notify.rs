//! Save, then notify: sends the mails that a stored row says are ours to send, and stores how that
//! went. A mail that fails undoes nothing; the sweep tries it again.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::App;
use super::error::Error;
use crate::approval::{Approval, Attempt, MailResult};
use crate::mailer::{Email, MailError};
use crate::store::Versioned;
use crate::views;

/// How long one mail may take.
const BUDGET: Duration = Duration::from_secs(5);

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
                    sending.spawn(
                        async move { (attempt, timeout(BUDGET, mailer.send(&email)).await) },
                    );
                }
                // Its link's key was taken out of the ring: nobody can make that link again.
                None => results.push((attempt, MailResult::Refused)),
            }
        }
        let id = &approval.request.id;
        while let Some(sent) = sending.join_next().await {
            // A panic in there leaves the lease to run out, and the mail is tried again.
            let Ok((attempt, sent)) = sent else { continue };
            let result = match sent {
                Ok(Ok(())) => MailResult::Sent,
                Ok(Err(MailError::Permanent(cause))) => {
                    tracing::warn!(%id, kind = attempt.kind.word(), cause, "a mail was refused");
                    MailResult::Refused
                }
                Ok(Err(MailError::Temporary(cause))) => {
                    tracing::warn!(%id, kind = attempt.kind.word(), cause, "a mail was not taken");
                    MailResult::Deferred
                }
                Err(_) => {
                    tracing::warn!(%id, kind = attempt.kind.word(), "a mail took too long");
                    MailResult::Deferred
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
        let secrets = views::Secrets {
            link: format!(
                "{}/api/decision/{}?k={}",
                self.base_url,
                approval.request.id,
                self.link_keys.link(approval, attempt.approver)?
            ),
            code: self.link_keys.code(approval, attempt.approver)?,
        };
        Some(views::email(
            approval,
            attempt,
            &secrets,
            self.config.mail_parameters,
            self.now(),
        ))
    }
}
