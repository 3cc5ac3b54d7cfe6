use reqwest::StatusCode;

use crate::error::Error;
use crate::gate::Gate;
use crate::handle::{approval_id, random_hex};
use crate::retry::retry_first_contact;
use crate::runtime::wait;

impl Gate {
    /// Checks the settings, for the start of a program: whether the gate can be reached, accepts the Functions
    /// key, and has keys that this client trusts. No one is asked, and the gate stores nothing. Which agents a
    /// key may act for, and which people may approve, only a request shows.
    ///
    /// # Errors
    /// What is wrong. A gate that does not respond is given up after 30 seconds.
    pub async fn check(&self) -> Result<(), Error> {
        self.keys(None).await?;
        // No request has this name, and the gate says so only to a caller with a valid key.
        let id = approval_id(&self.agent, &random_hex::<16>());
        match retry_first_contact(|| self.client.first_status(&id)).await {
            Err(Error::Problem(problem)) if problem.status == StatusCode::NOT_FOUND => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::InvalidResponse(
                "the status of a request that does not exist".to_owned(),
            )),
        }
    }

    /// Like [`Gate::check`], but blocks the thread.
    ///
    /// # Errors
    /// Those of [`Gate::check`].
    pub fn check_blocking(&self) -> Result<(), Error> {
        let gate = self.clone();
        wait(async move { gate.check().await })
    }
}
