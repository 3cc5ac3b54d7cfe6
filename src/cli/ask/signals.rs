//! The signals that would otherwise end `ask`.

use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::signal::unix::{self, SignalKind, signal};

pub(crate) struct Signals([unix::Signal; 3]);

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    pub(crate) async fn next(&mut self) -> SignalKind {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
        }
    }

    /// Waits for the end of the command, whatever signals arrive. A terminal sends its signals to the whole
    /// process group, and many programs treat a second Ctrl-C differently, so those are not passed on; but
    /// what stops a job in a pipeline sends SIGTERM to this process alone.
    pub(crate) async fn wait(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status,
                signal = self.next() => signal,
            };
            if signal == SignalKind::terminate() {
                terminate(child);
            }
        }
    }
}

/// Sends SIGTERM. Fails if the child runs as another user, or has ended: then `wait` returns anyway.
fn terminate(child: &Child) {
    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(id) = id {
        kill_process(id, Signal::TERM).ok();
    }
}
