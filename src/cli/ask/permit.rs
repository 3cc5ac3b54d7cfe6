//! Obtaining the permit to run the command: submit, wait, claim. A signal withdraws the request.

use std::pin::{Pin, pin};
use std::time::Duration;

use human_oversight::values::Timestamp;
use human_oversight_client::types::NOT_RUN;
use human_oversight_client::{Action, Error, Handle, Permit, Refusal};
use tokio::signal::unix::SignalKind;

use super::super::clock::now;
use super::command_line::CommandLine;
use super::messages::{clear_line, print, print_request, show_remaining_time};
use super::signals::Signals;

/// How long a withdrawal that came too late waits for the permit that may have been granted meanwhile.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no permit.
pub(crate) enum NoPermit {
    Refused(Refusal),
    Stopped(SignalKind),
}

pub(crate) async fn obtain_permit(
    action: &Action,
    command_line: &CommandLine,
    signals: &mut Signals,
) -> Result<Permit, NoPermit> {
    let handle = action.prepare();
    let mut permit = pin!(submit_and_claim(action, handle.clone(), command_line));
    let signal = tokio::select! {
        permit = &mut permit => return permit.map_err(NoPermit::Refused),
        signal = signals.next() => signal,
    };
    clear_line();
    tokio::select! {
        () = withdraw(action, handle, permit) => {}
        // The second signal means: do not even wait for the gate.
        _ = signals.next() => {
            print("Not run: stopped by a signal. It is unknown whether the request was withdrawn.");
        }
    }
    Err(NoPermit::Stopped(signal))
}

async fn submit_and_claim(
    action: &Action,
    handle: Handle,
    command_line: &CommandLine,
) -> Result<Permit, Refusal> {
    let pending = action.submit_as(handle, command_line).await?;
    let mut expires_at = now();
    if let Some(approval) = pending.approval() {
        expires_at = Timestamp::parse(&approval.expires_at).unwrap_or(expires_at);
        print_request(approval, expires_at);
    }
    let permit = tokio::select! {
        permit = pending.claim(command_line) => permit,
        never = show_remaining_time(expires_at) => match never {},
    };
    clear_line();
    permit
}

async fn withdraw(
    action: &Action,
    handle: Handle,
    permit: Pin<&mut impl Future<Output = Result<Permit, Refusal>>>,
) {
    match action.resume(handle).withdraw().await {
        Ok(_) => print("Not run: stopped by a signal. The request is withdrawn."),
        Err(Error::Problem(problem)) if problem.status == 409 => {
            print("Not run: stopped by a signal. The request was already decided.");
            // The claim may be under way. Then its outcome is reported, so that it does not stay open.
            if let Ok(Ok(permit)) = tokio::time::timeout(CLAIM_TIMEOUT, permit).await {
                let why = format!("{NOT_RUN}: stopped by a signal");
                permit.failed(why).await;
            }
        }
        Err(error) => print(format_args!(
            "Not run: stopped by a signal. The request could not be withdrawn: {error}"
        )),
    }
}
