//! What the expansion of `#[approval_gate]` stands on. Nothing here is meant for anybody else.

use std::sync::OnceLock;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::Error;
use crate::blocking::wait;
use crate::gate::{Action, Gate};
use crate::outcome::{Reason, Refusal};
use crate::parameters::{Parameters, ParametersError, sha256};
use crate::permit::Permit;

/// The gate of the environment, made once.
///
/// # Errors
/// When the environment names none.
pub fn of_environment() -> Result<Gate, Error> {
    static GATE: OnceLock<Gate> = OnceLock::new();
    if let Some(gate) = GATE.get() {
        return Ok(gate.clone());
    }
    let gate = Gate::from_env()?;
    Ok(GATE.get_or_init(|| gate).clone())
}

/// What can be shown to a person as an argument of an action.
#[diagnostic::on_unimplemented(
    message = "people cannot be shown an argument of the type `{Self}`",
    label = "this cannot be written as JSON",
    note = "what is not shown is not run: derive `serde::Serialize` for it, or mark the argument \
            `#[approval(skip)]` if it is no part of the decision"
)]
pub trait Argument: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Argument for T {}

/// What a function returns when it did not run.
#[diagnostic::on_unimplemented(
    message = "it is not said what this function returns when it is refused",
    label = "no `{Self}` can be made of a refusal",
    note = "add `refusal_return_value = …`: a value, or a closure that makes one of the `Refusal`"
)]
pub trait FromRefusal {
    /// Makes it.
    fn from_refusal(refusal: Refusal) -> Self;
}

impl FromRefusal for String {
    fn from_refusal(refusal: Refusal) -> Self {
        refusal.to_string()
    }
}

impl<T, E: From<Refusal>> FromRefusal for Result<T, E> {
    fn from_refusal(refusal: Refusal) -> Self {
        Err(refusal.into())
    }
}

/// The arguments of a call: those that are shown, and the digest of those that are only bound.
#[derive(Debug)]
pub struct Arguments {
    shown: Map<String, Value>,
    bound: [u8; 32],
}

/// One argument by its name.
struct Named<'a, T: ?Sized>(&'static str, &'a T);

impl<T: Serialize + ?Sized> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

impl Arguments {
    /// Of a function that has none.
    pub fn none() -> Self {
        Self {
            shown: Map::new(),
            bound: [0; 32],
        }
    }

    /// With one that is shown.
    ///
    /// # Errors
    /// When JSON would change it.
    pub fn shown<T: Argument + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<Self, ParametersError> {
        let one = Parameters::of(&Named(name, value))?;
        self.shown.extend(one.object().clone());
        Ok(self)
    }

    /// With one that is bound, and not shown.
    ///
    /// # Errors
    /// When JSON would change it.
    pub fn redacted<T: Argument + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<Self, ParametersError> {
        let one = Parameters::of(&Named(name, value))?;
        self.bound = sha256(&[self.bound, one.digest()].concat());
        self.shown.insert(name.to_owned(), "«redacted»".into());
        Ok(self)
    }

    /// What tells these from others, shown or not.
    fn digest(&self) -> Result<[u8; 32], ParametersError> {
        let shown = Parameters::of(&self.shown)?;
        Ok(sha256(&[self.bound, shown.digest()].concat()))
    }
}

/// An approval that was claimed, and for which arguments.
#[derive(Debug)]
pub struct Claimed {
    permit: Permit,
    arguments: [u8; 32],
}

type Looked = Result<Arguments, ParametersError>;

/// Asks for approval of the arguments, waits, and claims it.
///
/// # Errors
/// When it is anything but a verified approval of exactly these.
pub async fn claim(action: Result<Action, Error>, look: Looked) -> Result<Claimed, Refusal> {
    let claiming = async {
        let looked = look.map_err(Refusal::invalid)?;
        let arguments = looked.digest().map_err(Refusal::invalid)?;
        let parameters = Parameters::of(&looked.shown).map_err(Refusal::invalid)?;
        let pending = action?.submit_exactly(Ok(parameters.clone())).await?;
        let permit = pending.granted(parameters).await?;
        Ok(Claimed { permit, arguments })
    };
    let claimed = claiming.await;
    if let Err(refusal) = &claimed {
        tell(refusal);
    }
    claimed
}

/// The same on this thread.
///
/// # Errors
/// When it is anything but a verified approval of exactly these.
pub fn claim_blocking(action: Result<Action, Error>, look: Looked) -> Result<Claimed, Refusal> {
    wait(claim(action, look))
}

impl Claimed {
    /// The permit, if the arguments are what they were.
    ///
    /// # Errors
    /// When they changed while a person decided.
    pub async fn still(self, look: Looked) -> Result<Permit, Refusal> {
        match look.and_then(|now| now.digest()) {
            Ok(now) if now == self.arguments => Ok(self.permit),
            _ => {
                let refusal = self.permit.changed().await;
                tell(&refusal);
                Err(refusal)
            }
        }
    }

    /// The same on this thread.
    ///
    /// # Errors
    /// When they changed while a person decided.
    pub fn still_blocking(self, look: Looked) -> Result<Permit, Refusal> {
        wait(self.still(look))
    }
}

/// What was no person's doing would look like a no, where only a value comes back.
fn tell(refusal: &Refusal) {
    if !matches!(
        refusal.reason,
        Reason::Rejected | Reason::Timeout | Reason::Cancelled
    ) {
        let (reason, detail) = (refusal.reason, &refusal.detail);
        tracing::warn!(?reason, detail, "not run");
    }
}
