//! The same for code that is not `async`.

use std::fmt;

use human_oversight_protocol::parameters::Parameters;
use serde::Serialize;

use crate::action::Action;
use crate::outcome::{Outcome, Refusal};
use crate::run_permit::Permit;
use crate::runtime::wait;

impl Action {
    /// Like [`Action::run`], but blocks the thread until there is a decision.
    pub fn run_blocking<'p, P: Serialize, T>(
        &self,
        params: &'p P,
        action: impl FnOnce(&'p P) -> T,
    ) -> Outcome<T> {
        match self.claim_blocking(params) {
            Ok(permit) => {
                let value = action(params);
                permit.executed_blocking();
                Outcome::Executed(value)
            }
            Err(refusal) => Outcome::Refused(refusal).logged(),
        }
    }

    /// Like [`Action::try_run`], but blocks the thread until there is a decision.
    pub fn try_run_blocking<'p, P: Serialize, T, E: fmt::Display>(
        &self,
        params: &'p P,
        action: impl FnOnce(&'p P) -> Result<T, E>,
    ) -> Outcome<Result<T, E>> {
        match self.claim_blocking(params) {
            Ok(permit) => {
                let result = action(params);
                match &result {
                    Ok(_) => permit.executed_blocking(),
                    Err(error) => permit.failed_blocking(error),
                }
                Outcome::Executed(result)
            }
            Err(refusal) => Outcome::Refused(refusal).logged(),
        }
    }

    /// Like [`Action::claim`], but blocks the thread until there is a decision.
    ///
    /// # Errors
    /// When it is anything but a verified approval.
    pub fn claim_blocking(&self, params: &impl Serialize) -> Result<Permit, Refusal> {
        let parameters = Parameters::new(params)?;
        let approved = parameters.digest();
        let action = self.clone();
        let permit = wait(async move {
            let pending = action.submit_parameters(&parameters).await?;
            pending.claim_parameters(parameters).await
        })?;
        let is_unchanged = Parameters::new(params).is_ok_and(|now| now.digest() == approved);
        wait(permit.revalidate(is_unchanged))
    }
}

impl Permit {
    /// Like [`Permit::executed`], but blocks the thread.
    pub fn executed_blocking(self) {
        wait(self.executed());
    }

    /// Like [`Permit::failed`], but blocks the thread.
    pub fn failed_blocking(self, error: impl fmt::Display) {
        wait(self.failed(error.to_string()));
    }
}
