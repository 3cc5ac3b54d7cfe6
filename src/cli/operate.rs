//! `human-oversight pause`, `resume`, `executing`, `revoke`, `allow` and `grants`: on the store, with its settings, or
//! through the gate (`--url`), with the host's master key, so that no key of the gate leaves its vault.

mod grants;
mod remote;
mod report;
mod revocation;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use human_oversight::app;
use human_oversight::config::StoreSettings;
use human_oversight::domain::{Pause, PauseScope};
use human_oversight::http::damaged_pauses;
use human_oversight::store::Store;
use human_oversight::values::ApprovalId;
use human_oversight_protocol::operate::{Allowed, Command, Revoked};

use super::clock::{clock, now};
use super::environment;
use super::maintenance::{
    Access, check_clock, ensure_store_exists, open, receipt_keys, required_link_keys, unusable,
};
use super::output::{plain, say, show};
use super::unknown_id::NO_REJECTION;
use super::value_parsers;
use remote::Remote;
use report::{Report, print_damaged, print_executing, print_open};

#[derive(Args)]
pub(crate) struct Scope {
    /// Only for the requests of this owner, as the column Owner has it
    #[arg(long, value_name = "ID", conflicts_with = "agent")]
    owner: Option<String>,
    /// Only for the agent with this name, which holds where HO_AGENT_KEYS binds names to keys
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Stop claims and submits, and list what is executing
#[derive(Args)]
pub(crate) struct PauseOptions {
    #[command(flatten)]
    scope: Scope,
    /// Why, for the other operators
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// When to list what is executing once more
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = value_parsers::seconds)]
    again_after: Duration,
}

/// Revoke an approval that is not claimed yet
#[derive(Args)]
pub(crate) struct RevokeOptions {
    /// The request's id
    id: ApprovalId,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Let what was rejected be asked again, where a rule of the policy refuses that
///
/// It holds for everything that reads the same, until the next rejection.
#[derive(Args)]
pub(crate) struct AllowOptions {
    /// The id of the rejected request, as the refusal names it
    id: ApprovalId,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// List the standing grants, or revoke one
///
/// Those that have ended are listed too, as long as they are kept.
#[derive(Args)]
pub(crate) struct GrantsOptions {
    #[command(subcommand)]
    command: Option<GrantsCommand>,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
}

#[derive(Subcommand)]
enum GrantsCommand {
    /// End a standing grant: people are asked again
    Revoke {
        /// The grant's id, as the list and the receipts of its uses have it
        id: String,
    },
}

/// Where the commands work.
pub(super) enum Gate {
    Store(Store),
    Remote(Remote),
}

/// Sets a pause, and lists what it cannot stop: at once, and again when a claim that was under way has been
/// granted or refused.
///
/// # Errors
/// When the store or the gate cannot be used. The pause may stand nevertheless.
pub(crate) async fn pause(options: PauseOptions) -> anyhow::Result<ExitCode> {
    let scope = options.scope.parse()?;
    let pause = Pause::new(scope.clone(), Some(&options.because), now())?;
    let gate = options.scope.gate(Access::Writes).await?;
    let report = gate.pause(&pause).await?;
    say(&format!(
        "Paused: {scope}. Until `resume` for the same scope no approval is claimed and no request is \
         submitted; requests stay open, people may decide."
    ));
    print_open(report.open, &scope, say);
    if let PauseScope::Agent(_) = scope {
        say(
            "An agent states its name itself: this holds only where HO_AGENT_KEYS binds names to keys. A \
             pause of its owner, or of everything, holds everywhere.",
        );
    }
    print_executing(&report.executing, say);
    print_damaged(&report.damaged, say);
    tokio::time::sleep(options.again_after).await;
    say(&format!("After {} s:", options.again_after.as_secs()));
    print_executing(&gate.executing(&scope).await?.executing, say);
    Ok(ExitCode::SUCCESS)
}

/// Ends a pause. On a terminal, the scope must be typed again.
///
/// # Errors
/// When the scope was not typed, or the store or the gate cannot be used. The pause may have ended
/// nevertheless.
pub(crate) async fn resume(options: Scope) -> anyhow::Result<ExitCode> {
    let scope = options.parse()?;
    let gate = options.gate(Access::Writes).await?;
    confirm(&scope)?;
    let report = gate.resume(&scope).await?;
    if report.done {
        say(&format!("Resumed: {scope}."));
    } else {
        say(&format!("There was no pause with this scope: {scope}."));
    }
    for pause in &report.pauses {
        say(&format!("Still paused: {}", describe(pause)));
    }
    let code = print_damaged(&report.damaged, say);
    if report.damaged.is_empty() {
        Ok(ExitCode::from(u8::from(!report.done)))
    } else {
        Ok(code)
    }
}

/// Lists the pauses and what is executing. The exit code is 2 if a pause cannot be trusted.
///
/// # Errors
/// When the store or the gate cannot be used.
pub(crate) async fn executing(options: Scope) -> anyhow::Result<ExitCode> {
    let scope = options.parse()?;
    let report = options.gate(Access::Reads).await?.executing(&scope).await?;
    for pause in &report.pauses {
        show(&format!("Paused: {}", describe(pause)));
    }
    print_open(report.open, &scope, show);
    print_executing(&report.executing, show);
    Ok(print_damaged(&report.damaged, show))
}

/// Revokes an approval.
///
/// # Errors
/// When it is no approval, was claimed or has lapsed, or the store or the gate cannot be used. Only in the
/// last case it may be revoked nevertheless.
pub(crate) async fn revoke(options: RevokeOptions) -> anyhow::Result<ExitCode> {
    let revoked = match &options.url {
        Some(url) => remote(url)?.revoke(&options.id).await?,
        None => {
            let settings = table_settings()?;
            let keys = revocation::receipt_keys(&settings)?;
            let store = open_store(&settings, Access::Writes).await?;
            revocation::revoke(&store, &keys, &settings.rows, &options.id).await?
        }
    };
    let Revoked {
        done,
        id,
        since,
        by,
    } = revoked;
    if done {
        say(&format!(
            "Revoked: {id}. It can no longer be claimed. Everyone who was asked gets an email with the next \
             sweep, unless the gate's HO_MAIL_NOTES leaves `outcome` out."
        ));
    } else {
        say(&format!("It was revoked before, by {by} at {since}: {id}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets what was rejected be asked again.
///
/// # Errors
/// When no rejection of the request is kept, or the store or the gate cannot be used.
pub(crate) async fn allow(options: AllowOptions) -> anyhow::Result<ExitCode> {
    let Allowed { done, id } = match &options.url {
        Some(url) => remote(url)?.allow(&options.id).await?,
        None => {
            let store = open_store(&table_settings()?, Access::Writes).await?;
            let lifted = app::lift_rejection(&store, &options.id, now()).await;
            let done = lifted.map_err(|error| match error {
                app::Error::NotFound => anyhow!(NO_REJECTION),
                error => anyhow!(
                    "it may be allowed nevertheless, so repeat the command: {}",
                    error.cause().unwrap_or("the store cannot be used")
                ),
            })?;
            let id = options.id.to_string();
            Allowed { done, id }
        }
    };
    say(&if done {
        format!("Allowed: what {id} asked may be asked again, until the next rejection.")
    } else {
        format!("It was allowed before: {id}")
    });
    Ok(ExitCode::SUCCESS)
}

/// Lists the standing grants, or revokes one.
///
/// # Errors
/// When there is no such grant, or the store or the gate cannot be used.
pub(crate) async fn grants(options: GrantsOptions) -> anyhow::Result<ExitCode> {
    let access = match options.command {
        None => Access::Reads,
        Some(GrantsCommand::Revoke { .. }) => Access::Writes,
    };
    let gate = open_gate(options.url.as_deref(), access).await?;
    let Some(GrantsCommand::Revoke { id }) = options.command else {
        grants::print(&match &gate {
            Gate::Store(store) => grants::list(store, receipt_keys(&table_settings()?)?).await?,
            Gate::Remote(remote) => remote.grants().await?,
        });
        return Ok(ExitCode::SUCCESS);
    };
    let revoked = match &gate {
        Gate::Store(store) => grants::revoke(store, &id).await?,
        Gate::Remote(remote) => remote.revoke_grant(&id).await?,
    };
    say(&if revoked.done {
        format!("Revoked: {}. People are asked again.", revoked.id)
    } else {
        format!("It had ended before: {}", revoked.id)
    });
    Ok(ExitCode::SUCCESS)
}

impl Scope {
    fn parse(&self) -> anyhow::Result<PauseScope> {
        Ok(PauseScope::new(
            self.owner.as_deref(),
            self.agent.as_deref(),
        )?)
    }

    async fn gate(&self, access: Access) -> anyhow::Result<Gate> {
        open_gate(self.url.as_deref(), access).await
    }
}

/// The gate at this address, or the store.
pub(super) async fn open_gate(url: Option<&str>, access: Access) -> anyhow::Result<Gate> {
    Ok(match url {
        Some(url) => Gate::Remote(remote(url)?),
        None => Gate::Store(open_store(&table_settings()?, access).await?),
    })
}

/// The gate at this address.
pub(super) fn remote(url: &str) -> anyhow::Result<Remote> {
    Remote::new(url, environment::value("HO_MASTER_KEY").as_deref())
}

/// The settings of a store that exists.
fn table_settings() -> anyhow::Result<StoreSettings> {
    let mut settings = StoreSettings::read(environment::value)?;
    ensure_store_exists(&settings)?;
    settings.rows.default_gate_id = settings.default_gate_id.clone();
    Ok(settings)
}

async fn open_store(settings: &StoreSettings, access: Access) -> anyhow::Result<Store> {
    let link_keys = required_link_keys(settings)?;
    let store = open(settings, 0, clock(), Some(link_keys))?;
    // It reads: a wrong name is not taken for a new table.
    check_clock(&store, access).await?;
    let prepared = store.prepare().await;
    prepared.context("the store cannot be used")?;
    Ok(store)
}

impl Gate {
    async fn pause(&self, pause: &Pause) -> anyhow::Result<Report> {
        match self {
            Self::Store(store) => {
                let paused = app::pause(store, pause.clone(), now()).await;
                paused.context("it may be paused nevertheless, so repeat the command")?;
                report(store, true, &pause.scope).await.context(UNREAD)
            }
            Self::Remote(remote) => {
                let because = pause.reason.clone();
                remote.send(Command::Pause, &pause.scope, because).await
            }
        }
    }

    async fn resume(&self, scope: &PauseScope) -> anyhow::Result<Report> {
        match self {
            Self::Store(store) => {
                let resumed = app::resume(store, scope, now()).await;
                let done = resumed
                    .context("it may be resumed nevertheless: `executing` lists the pauses")?;
                let unread = if done { UNREAD } else { NONE_UNREAD };
                report(store, done, scope).await.context(unread)
            }
            Self::Remote(remote) => remote.send(Command::Resume, scope, None).await,
        }
    }

    async fn executing(&self, scope: &PauseScope) -> anyhow::Result<Report> {
        match self {
            Self::Store(store) => report(store, true, scope).await,
            Self::Remote(remote) => remote.send(Command::Executing, scope, None).await,
        }
    }
}

const UNREAD: &str = "it was done, but what is executing cannot be listed";
const NONE_UNREAD: &str =
    "there was no pause with this scope, and what is executing cannot be listed";

async fn report(store: &Store, done: bool, scope: &PauseScope) -> anyhow::Result<Report> {
    let executing = app::executing(store, scope, now()).await?;
    let list = app::list_pauses(store).await.map_err(unusable)?;
    Ok(Report {
        done,
        open: Some(executing.open),
        executing,
        damaged: damaged_pauses(&list.damaged),
        pauses: list.standing,
    })
}

/// Asks on a terminal for the scope, so that nothing is resumed by mistake.
fn confirm(scope: &PauseScope) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(());
    }
    let expected = scope.name().unwrap_or_else(|| "all".to_owned());
    eprint!("Type `{expected}` to resume {scope}: ");
    std::io::stderr().flush()?;
    let mut typed = String::new();
    stdin.read_line(&mut typed)?;
    if typed.trim() != expected {
        bail!("nothing was resumed: the scope was not typed");
    }
    Ok(())
}

fn describe(pause: &Pause) -> String {
    let reason = plain(pause.reason.as_deref().unwrap_or_default());
    format!("{}, since {}: {reason}", pause.scope, pause.since)
}
