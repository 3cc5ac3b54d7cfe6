//! `human-oversight webhooks`: the channels that are switched off, and telling channels again: on the store, with its
//! settings, or through the gate (`--url`).

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use human_oversight::app::{self, Error, Untold};
use human_oversight::store::{Store, StoreError};

use super::clock::{clock, now};
use super::maintenance::{Access, for_each_row, unusable};
use super::operate::{Gate, open_gate};
use super::output::{say, show};
use super::unknown_id::NO_REQUEST;

/// List the channels that are switched off, switch one on, or tell channels again
///
/// A channel is switched off when its receiver answers 410, or when a workflow of Teams does. What would have been sent
/// meanwhile is dropped, and can be redelivered.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Webhooks>,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
}

#[derive(Subcommand)]
enum Webhooks {
    /// Switch a channel on again
    Enable {
        /// Its name in the policy
        channel: String,
    },
    /// Queue again what channels were not told, for the next sweep
    ///
    /// What waits for its next attempt is queued, too. A channel that has just failed to answer is called at most two
    /// minutes later; one that the policy no longer has is not called, which the gate's log says. The exit code is 1 if
    /// there is nothing to queue.
    Redeliver(Redelivery),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Redelivery {
    /// The request's id; `standing` for standing grants and pauses
    id: Option<Untold>,
    /// Of everything in the store: not with --url
    #[arg(long)]
    all: bool,
}

/// # Errors
/// When there is no such request, or the store or the gate cannot be used.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let access = match options.command {
        None => Access::Reads,
        Some(_) => Access::Writes,
    };
    let gate = open_gate(options.url.as_deref(), access).await?;
    match options.command {
        None => list(&gate).await,
        Some(Webhooks::Enable { channel }) => enable(&gate, &channel).await,
        Some(Webhooks::Redeliver(Redelivery { id: Some(id), .. })) => {
            let queued = redeliver(&gate, &id).await?;
            let code = say_queued(queued, &format!(" of {id}"));
            warn_of_off(&gate).await?;
            Ok(code)
        }
        Some(Webhooks::Redeliver(Redelivery { id: None, .. })) => match gate {
            Gate::Store(ref store) => {
                let code = redeliver_all(store).await?;
                warn_of_off(&gate).await?;
                Ok(code)
            }
            Gate::Remote(_) => bail!("--all works on the store, without --url"),
        },
    }
}

async fn list(gate: &Gate) -> anyhow::Result<ExitCode> {
    let off = off_channels(gate).await?;
    if off.is_empty() {
        show("No channel is switched off.");
    }
    for (channel, since) in off {
        show(&format!("{channel} is switched off since {since}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says for which channels messages are dropped again.
async fn warn_of_off(gate: &Gate) -> anyhow::Result<()> {
    for (channel, since) in off_channels(gate).await? {
        say(&format!(
            "{channel} is switched off since {since} and gets nothing: `webhooks enable {channel}`, then send again."
        ));
    }
    Ok(())
}

/// Their names, each with the time since when.
async fn off_channels(gate: &Gate) -> anyhow::Result<Vec<(String, String)>> {
    match gate {
        Gate::Store(store) => {
            let off = app::off_channels(store).await.map_err(unusable)?;
            let off = off.into_iter();
            Ok(off
                .map(|(channel, since)| (channel, since.to_string()))
                .collect())
        }
        Gate::Remote(remote) => remote.off_channels().await,
    }
}

async fn enable(gate: &Gate, channel: &str) -> anyhow::Result<ExitCode> {
    let done = match gate {
        Gate::Store(store) => app::enable_channel(store, channel)
            .await
            .map_err(unusable)?,
        Gate::Remote(remote) => remote.enable_channel(channel).await?,
    };
    if !done {
        say(&format!("It was not switched off: {channel}"));
        list(gate).await?;
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("Switched on: {channel}"));
    Ok(ExitCode::SUCCESS)
}

async fn redeliver(gate: &Gate, untold: &Untold) -> anyhow::Result<usize> {
    match gate {
        Gate::Store(store) => {
            let queued = app::redeliver(store, untold, &clock()).await;
            store.settle().await;
            queued.map_err(|error| match error {
                Error::NotFound => anyhow!(NO_REQUEST),
                error => unusable(error),
            })
        }
        Gate::Remote(remote) => remote.redeliver(untold).await,
    }
}

async fn redeliver_all(store: &Store) -> anyhow::Result<ExitCode> {
    let standing = app::redeliver(store, &Untold::Standing, &clock()).await;
    let (mut queued, mut unreadable) = (standing.map_err(unusable)?, 0);
    let visited = for_each_row(store, async |row| {
        match &row.approval {
            Ok(approval) if approval.has_untold_channels(now()) => {
                let untold = Untold::Request(approval.request.id.clone());
                queued += match app::redeliver(store, &untold, &clock()).await {
                    // It was purged meanwhile.
                    Err(Error::NotFound) => 0,
                    again => again.map_err(unusable)?,
                };
            }
            Ok(_) | Err(StoreError::Legacy) => {}
            Err(_) => unreadable += 1,
        }
        Ok(())
    });
    let visited = visited.await;
    store.settle().await;
    visited?;
    let code = say_queued(queued, "");
    if unreadable == 0 {
        return Ok(code);
    }
    say(&format!(
        "{unreadable} requests cannot be read, and were left out: see `verify`."
    ));
    Ok(ExitCode::FAILURE)
}

fn say_queued(queued: usize, of: &str) -> ExitCode {
    say(&match queued {
        0 => format!(
            "There is nothing to send again{of}. What is due is sent by the next sweep anyway."
        ),
        1 => format!("1 message{of} is queued for the next sweep."),
        _ => format!("{queued} messages{of} are queued for the next sweep."),
    });
    ExitCode::from(u8::from(queued == 0))
}
