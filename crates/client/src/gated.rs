//! What the expansion of `#[approval_gate]` calls. Not a public interface.

use std::future::Future;
use std::sync::OnceLock;

use human_oversight_protocol::parameters::{Parameters, ParametersError, sha256};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::action::Action;
use crate::error::Error;
use crate::gate::Gate;
use crate::outcome::Refusal;
use crate::run_permit::Permit;
use crate::runtime::wait;
use crate::scope::{with_proof, with_proof_blocking};

/// The gate of the scope, or that of the environment, made once.
///
/// # Errors
/// When there is no scope and the environment names no gate.
pub fn current_gate() -> Result<Gate, Error> {
    static GATE: OnceLock<Gate> = OnceLock::new();
    if let Some(gate) = Gate::of_scope().or_else(|| GATE.get().cloned()) {
        return Ok(gate);
    }
    let gate = Gate::from_env()?;
    Ok(GATE.get_or_init(|| gate).clone())
}

/// Runs the function's body with the permit's [`Proof`](crate::Proof).
pub fn run<F: Future>(permit: &Permit, body: F) -> impl Future<Output = F::Output> + use<F> {
    with_proof(permit.proof().clone(), body)
}

/// Like [`run`], for a function that is not `async`.
pub fn run_blocking<T>(permit: &Permit, body: impl FnOnce() -> T) -> T {
    with_proof_blocking(permit.proof().clone(), body)
}

/// A type that people can be shown as an argument.
#[diagnostic::on_unimplemented(
    message = "an argument of the type `{Self}` cannot be shown to people",
    label = "this cannot be written as JSON",
    note = "derive `serde::Serialize` for the type, or mark the argument `#[approval(skip)]` if it is not \
            part of the decision"
)]
pub trait Argument: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Argument for T {}

/// A return type that is no future, which would be reported as executed before it has run. For a future the compiler
/// finds two implementations, and takes neither.
pub trait IsNoFuture<Why> {
    /// There is one such method only.
    fn check() {}
}

/// A future, whatever its name.
#[derive(Debug)]
pub struct GateAnAsyncFnInstead;

#[diagnostic::do_not_recommend]
impl<T: ?Sized> IsNoFuture<()> for T {}

#[diagnostic::do_not_recommend]
impl<T: Future + ?Sized> IsNoFuture<GateAnAsyncFnInstead> for T {}

/// A return type for a function that was refused.
#[diagnostic::on_unimplemented(
    message = "this function has no return value for a refusal",
    label = "a refusal cannot become a `{Self}`",
    note = "add `refusal_return_value = …`: a value, or a closure that makes one from the `Refusal`; or return a \
            `Result` whose error is `From<Refusal>`"
)]
pub trait FromRefusal {
    /// The return value for a refusal.
    fn from_refusal(refusal: Refusal) -> Self;
}

impl FromRefusal for String {
    fn from_refusal(refusal: Refusal) -> Self {
        refusal.to_string()
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Refusal>> FromRefusal for Result<T, E> {
    fn from_refusal(refusal: Refusal) -> Self {
        Err(refusal.into())
    }
}

/// The arguments of a call, in parts: those that are shown, and a digest of the redacted ones.
#[derive(Debug)]
pub struct Arguments {
    parameters: Map<String, Value>,
    redacted: [u8; 32],
}

/// One argument as an object with one member.
struct NamedArgument<'a, T: ?Sized>(&'static str, &'a T);

impl<T: Serialize + ?Sized> Serialize for NamedArgument<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

impl Arguments {
    /// No arguments.
    #[expect(clippy::new_without_default, reason = "only the expansion calls it")]
    pub fn new() -> Self {
        Self {
            parameters: Map::new(),
            redacted: [0; 32],
        }
    }

    /// Adds an argument that is shown.
    ///
    /// # Errors
    /// When JSON would change it.
    pub fn shown<T: Argument + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<Self, ParametersError> {
        let argument = Parameters::new(&NamedArgument(name, value))?;
        self.parameters.extend(argument.into_object());
        Ok(self)
    }

    /// Adds an argument that is not shown, but must not change.
    ///
    /// # Errors
    /// When JSON would change it.
    pub fn redacted<T: Argument + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<Self, ParametersError> {
        let argument = Parameters::new(&NamedArgument(name, value))?;
        self.redacted = sha256(&[self.redacted, argument.digest()].concat());
        self.parameters.insert(name.to_owned(), "«redacted»".into());
        Ok(self)
    }

    /// The parameters to submit, and a digest of all arguments, the redacted ones included.
    fn finish(&self) -> Result<(Parameters, [u8; 32]), ParametersError> {
        let parameters = Parameters::new(&self.parameters)?;
        let digest = sha256(&[self.redacted, parameters.digest()].concat());
        Ok((parameters, digest))
    }
}

/// Arguments, or why they cannot be parameters.
type ArgumentsResult = Result<Arguments, ParametersError>;

/// A permit to run the function with the arguments of this digest.
#[derive(Debug)]
pub struct BoundPermit {
    permit: Permit,
    arguments: [u8; 32],
}

/// Requests approval of the arguments, waits, and claims the approval.
///
/// # Errors
/// When it is anything but a verified approval of exactly these.
pub async fn claim(
    action: Result<Action, Error>,
    arguments: ArgumentsResult,
) -> Result<BoundPermit, Refusal> {
    let permit = claim_arguments(action, arguments).await;
    if let Err(refusal) = &permit {
        refusal.log();
    }
    permit
}

async fn claim_arguments(
    action: Result<Action, Error>,
    arguments: ArgumentsResult,
) -> Result<BoundPermit, Refusal> {
    let (parameters, arguments) = arguments?.finish()?;
    let pending = action?.submit_parameters(&parameters).await?;
    let permit = pending.claim_parameters(parameters).await?;
    Ok(BoundPermit { permit, arguments })
}

/// Like [`claim`], but blocks the thread.
///
/// # Errors
/// When it is anything but a verified approval of exactly these.
pub fn claim_blocking(
    action: Result<Action, Error>,
    arguments: ArgumentsResult,
) -> Result<BoundPermit, Refusal> {
    wait(claim(action, arguments))
}

impl BoundPermit {
    /// The permit, if the arguments have not changed.
    ///
    /// # Errors
    /// When they changed while the decision was awaited.
    pub async fn revalidate(self, arguments: ArgumentsResult) -> Result<Permit, Refusal> {
        let now = arguments.and_then(|arguments| arguments.finish());
        let is_unchanged = now.is_ok_and(|(_, digest)| digest == self.arguments);
        let permit = self.permit.revalidate(is_unchanged).await;
        if let Err(refusal) = &permit {
            refusal.log();
        }
        permit
    }

    /// Like [`BoundPermit::revalidate`], but blocks the thread.
    ///
    /// # Errors
    /// When they changed while the decision was awaited.
    pub fn revalidate_blocking(self, arguments: ArgumentsResult) -> Result<Permit, Refusal> {
        wait(self.revalidate(arguments))
    }
}
