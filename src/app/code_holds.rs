//! Counting the wrong codes of a person over all requests, so that many requests, or a row that was put back, give no
//! more guesses. Only codes are held back: signing in, and rejecting by the link alone, go on.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::{hex, sha256};

use super::code_turns::CodeTurn;
use super::error::Error;
use super::identify::Identified;
use super::retries::Retries;
use super::state::App;
use crate::domain::{Approval, Assurance, DecisionResult, WrongCodes};
use crate::store::{StandingKind, StandingRow, StoreError};
use crate::values::{Address, Timestamp};

const COUNT: &str = "WrongCodes";
const LAST_AT: &str = "WrongCodeTimestamp";

/// The wrong codes of the person of this name, as they were read in the turn of a form.
pub(super) struct CodesRead {
    name: String,
    codes: Result<Option<WrongCodes>, StoreError>,
    turn: CodeTurn,
}

/// Whether the codes of a form's approver are held back.
pub(super) struct CodeHold {
    /// What becomes of the form if they are.
    pub(super) held: Option<DecisionResult>,
    /// Until the form's code is counted; `None` for a form whose code is not looked at.
    pub(super) _turn: Option<CodeTurn>,
}

/// The name of a person's row.
pub(super) fn name_of(address: &Address) -> String {
    hex(&sha256(address.name().as_bytes()))
}

impl App {
    /// Whether the codes of a form's approver are held back: never without a code, or after sign-in. What was `read`
    /// beside the row is not read again, if it is this person's.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be read whether they are.
    pub(super) async fn check_hold(
        &self,
        approval: &Approval,
        identified: Identified,
        code: &str,
        read: Option<CodesRead>,
    ) -> Result<CodeHold, Error> {
        if code.is_empty() || identified.assurance != Assurance::Link {
            return Ok(CodeHold {
                held: None,
                _turn: None,
            });
        }
        let name = name_of(&approval.approvers[identified.approver].address);
        let read = match read.filter(|it| it.name == name) {
            Some(read) => read,
            None => self.read_codes(&name).await,
        };
        let codes = read.codes.map_err(unavailable)?;
        let until = codes.and_then(|codes| codes.held_until(self.now()));
        Ok(CodeHold {
            held: until.map(|until| DecisionResult::CodesHeld { until }),
            _turn: Some(read.turn),
        })
    }

    /// Reads the wrong codes of a person, once it is this form's turn.
    pub(super) async fn read_codes(&self, name: &str) -> CodesRead {
        let turn = self.code_turns.take(name).await;
        let reading = async {
            self.store.prepare().await?;
            self.read_wrong_codes(name).await
        };
        let codes = reading.await.map(|(_, codes)| codes);
        let name = name.to_owned();
        CodesRead { name, codes, turn }
    }

    /// Counts a wrong code, before the person learns that it was.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be counted.
    pub(super) async fn count_wrong_code(
        &self,
        approval: &Approval,
        approver: usize,
    ) -> Result<(), Error> {
        let address = &approval.approvers[approver].address;
        let mut retries = Retries::new();
        while let Err(error) = self.try_count(address).await {
            retries.wait_after(error).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn try_count(&self, address: &Address) -> Result<(), StoreError> {
        let now = self.now();
        let name = name_of(address);
        let (mut row, codes) = self.read_wrong_codes(&name).await?;
        row.columns = encode(WrongCodes::add(codes, now));
        self.store.put_standing(row, now).await.map(drop)
    }

    /// The person's row, new if there is none, and what it says.
    async fn read_wrong_codes(
        &self,
        name: &str,
    ) -> Result<(StandingRow, Option<WrongCodes>), StoreError> {
        match self.store.standing(StandingKind::Code, name).await? {
            None => Ok((
                StandingRow::new(StandingKind::Code, name, BTreeMap::new()),
                None,
            )),
            // Its key is gone: the count begins anew.
            Some(row) if row.columns.is_empty() => Ok((row, None)),
            Some(row) => {
                let codes = decode(&row)?;
                Ok((row, Some(codes)))
            }
        }
    }
}

fn unavailable(error: StoreError) -> Error {
    Error::without("the wrong codes of a person", &error)
}

fn encode(codes: WrongCodes) -> BTreeMap<String, String> {
    let columns = [
        (COUNT, codes.count.to_string()),
        (LAST_AT, codes.last_at.to_string()),
    ];
    columns.map(|(name, text)| (name.to_owned(), text)).into()
}

fn decode(row: &StandingRow) -> Result<WrongCodes, StoreError> {
    let column = |name: &'static str| {
        let text = row.columns.get(name).map(String::as_str);
        text.ok_or_else(|| StoreError::damaged(name))
    };
    Ok(WrongCodes {
        count: column(COUNT)?
            .parse()
            .map_err(|_| StoreError::damaged(COUNT))?,
        last_at: Timestamp::parse(column(LAST_AT)?).ok_or_else(|| StoreError::damaged(LAST_AT))?,
    })
}
