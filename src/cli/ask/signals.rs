//! The signals that would otherwise end `ask`.

use std::future::pending;
use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::signal::unix::{self, SignalKind, signal};

/// Without those that were ignored when `ask` started, as `nohup` and shells do in the background: they stay so, for the
/// command too.
pub(crate) struct Signals([Option<unix::Signal>; 3]);

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let listen = |kind: SignalKind| {
            let is_ignored = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
            (!is_ignored).then(|| signal(kind)).transpose()
        };
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    pub(crate) async fn next(&mut self) -> SignalKind {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            () = arrival(interrupt) => SignalKind::interrupt(),
            () = arrival(terminate) => SignalKind::terminate(),
            () = arrival(hangup) => SignalKind::hangup(),
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

async fn arrival(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// The signals that this process ignores, as bits from that of signal 1. Only Linux says it without unsafe code.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or_default()
}

/// Sends SIGTERM. Fails if the child runs as another user, or has ended: then `wait` returns anyway.
fn terminate(child: &Child) {
    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(id) = id {
        kill_process(id, Signal::TERM).ok();
    }
}
