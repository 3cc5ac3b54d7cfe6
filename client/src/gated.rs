//! What the expansion of `#[approval_gate]` stands on. Nothing here is meant for anybody else.

use std::sync::OnceLock;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::Error;
use crate::blocking::wait;
use crate::gate::{Action, Gate};
use crate::outcome::Refusal;
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

    fn parameters(self) -> Result<Parameters, ParametersError> {
        Parameters::of(&self.shown)
    }
}

/// Asks for approval of the arguments, and claims it.
///
/// # Errors
/// When it is anything but a verified approval of exactly these.
pub async fn claim(
    gate: Result<Gate, Error>,
    action: impl FnOnce(Gate) -> Action,
    look: impl Fn() -> Result<Arguments, ParametersError>,
) -> Result<Permit, Refusal> {
    let bound = look().map_err(Refusal::invalid)?.bound;
    let action = action(gate?);
    let pending = action.submit_exactly(look().and_then(Arguments::parameters));
    let look_again = || look().and_then(Arguments::parameters);
    let permit = pending.await?.claim_exactly(look_again).await?;
    match look() {
        Ok(now) if now.bound == bound => Ok(permit),
        _ => Err(permit.changed().await),
    }
}

/// The same on this thread.
///
/// # Errors
/// When it is anything but a verified approval of exactly these.
pub fn claim_blocking(
    gate: Result<Gate, Error>,
    action: impl FnOnce(Gate) -> Action,
    look: impl Fn() -> Result<Arguments, ParametersError>,
) -> Result<Permit, Refusal> {
    let bound = look().map_err(Refusal::invalid)?.bound;
    let action = action(gate?);
    let permit = action.claim_exactly_blocking(|| look().and_then(Arguments::parameters))?;
    match look() {
        Ok(now) if now.bound == bound => Ok(permit),
        _ => Err(wait(permit.changed())),
    }
}
