//! The command line: the gate behind the Azure Functions host or in local development, and its tools.

#[cfg(unix)]
mod ask;
mod backup;
mod check;
mod clock;
mod copied;
mod demo;
mod digest;
mod environment;
mod evidence;
mod held;
mod index;
mod keygen;
mod list;
mod log;
mod maintenance;
mod operate;
mod output;
mod policy;
mod purge;
mod reconcile;
mod serve;
mod text;
mod unfinished;
mod unknown_id;
mod value_parsers;
mod verify;
mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use human_oversight::config::{ConfigErrors, KnownSettings, StoreSettings, ensure_text};
use human_oversight::version::VERSION;

use clock::clock;
use output::complain;

const ENVIRONMENT: &str = "\
Settings of the gate (environment variables):
  HO_PORT               The port in local development [default: 7071]
  HO_BASE_URL           The public URL of the gate, https://HOST
  HO_ALLOWED_APPROVERS  The addresses that a request may name as approvers
  HO_LOG                off, error, warn, info, debug or trace [default: info]
Where the rows are:
  HO_STORE              embedded:FOLDER or tables [default: embedded:.oversight]
  HO_TABLES_ENDPOINT    The table endpoint of the storage account
Keys (secret; `human-oversight keygen` prints new ones):
  HO_LINK_KEYS          The keys of the links in emails
  HO_RECEIPT_KEYS       The keys that sign receipts
Emails:
  HO_MAIL               How emails are sent [default: file:FOLDER, the inbox]
  HO_MAIL_FROM          The sender

All settings: docs/deployment.md in the repository, under \"Every setting\".
All commands: docs/command-line.md.

Examples:
  human-oversight                      Run the gate for local development
  human-oversight demo --timeout=60    Try a decision in the inbox
  human-oversight ask --help           Let a person approve a command";

/// Run the gate (without a command), or one of its tools
#[derive(Parser)]
#[command(name = "human-oversight", version = VERSION.as_str(), after_help = ENVIRONMENT)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gate and an example agent whose request you decide in the inbox
    Demo {
        /// The time for the decision, 10 to 2592000
        #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = value_parsers::timeout)]
        timeout: Duration,
    },
    #[cfg(unix)]
    Ask(ask::Options),
    /// Check every row of the table against its receipt and its MAC
    ///
    /// With HO_LINK_KEYS also the links of open requests, and that the due index has them. The exit code is 2 if a table cannot
    /// be read, 1 if there is a problem, or else 0.
    Verify {
        /// The public keys of the receipts, as /api/keys returns them (else HO_RECEIPT_KEYS)
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    Reconcile(reconcile::Options),
    Evidence(evidence::Options),
    /// Copy the table into a new file, one row per line
    Backup {
        /// The file to create
        file: PathBuf,
    },
    /// Insert the rows of a copy, without replacing a row that exists
    Restore {
        /// A file that `backup` wrote
        file: PathBuf,
        /// Also insert the rows of the gate with this HO_GATE_ID, with a new MAC
        #[arg(long, value_name = "ID", value_parser = value_parsers::gate_id)]
        gate_id: Option<String>,
    },
    Purge(purge::Options),
    /// Work on what the gate looks up while a request is decided
    #[command(subcommand)]
    Index(index::IndexCommand),
    List(list::ListOptions),
    Resend(list::ResendOptions),
    Pause(operate::PauseOptions),
    /// End a pause
    ///
    /// The exit code is 2 if it failed, or if a pause that is left cannot be trusted; 1 if there was no pause with this scope;
    /// or else 0.
    Resume(operate::Scope),
    /// List the pauses, and what agents may be running
    ///
    /// The exit code is 2 if they cannot be read or a pause cannot be trusted, or else 0.
    Executing(operate::Scope),
    Revoke(operate::RevokeOptions),
    Allow(operate::AllowOptions),
    Grants(operate::GrantsOptions),
    Webhooks(webhooks::Options),
    Check(check::Options),
    /// Check a policy, or say what it would do with a request
    #[command(subcommand)]
    Policy(policy::Command),
    /// Print fresh keys as HO_LINK_KEYS and HO_RECEIPT_KEYS, and the latter's thumbprint as the HO_KEYS of agents
    Keygen {
        /// With what the receipt key signs
        #[arg(long, value_enum, default_value = "ed25519")]
        alg: keygen::Algorithm,
    },
    /// Print the public halves of HO_RECEIPT_KEYS as a JWK set, as /api/keys does
    PublicKey,
}

/// Runs the command that the arguments name. Wrong arguments end the process with exit code 2.
pub(crate) async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if let Err(errors) = ensure_text(std::env::vars_os())
        && !command.as_ref().is_some_and(Command::reads_no_setting)
    {
        return refuse(command, errors);
    }
    // The gate has them in its log, and `check` among its findings.
    if !matches!(command, None | Some(Command::Check(_))) {
        print_unknown_settings();
    }
    output::end(run(command).await)
}

async fn run(command: Option<Command>) -> ExitCode {
    match command {
        None => run_gate(serve::run()).await,
        Some(Command::Demo { timeout }) => run_gate(demo::run(timeout)).await,
        #[cfg(unix)]
        Some(Command::Ask(options)) => ask::run(options).await,
        Some(Command::Verify { keys }) => {
            let keys = keys.as_deref();
            use_table("verify", |settings| verify::run(settings, clock(), keys)).await
        }
        Some(Command::Reconcile(options)) => {
            use_table("reconcile", |settings| reconcile::run(settings, &options)).await
        }
        Some(Command::Evidence(options)) => {
            use_table("work on evidence", |settings| {
                evidence::run(settings, &options)
            })
            .await
        }
        Some(Command::Backup { file }) => {
            use_table("back up", |settings| backup::run(settings, clock(), &file)).await
        }
        Some(Command::Restore { file, gate_id }) => {
            let gate_id = gate_id.as_deref();
            use_table("restore", |settings| {
                backup::restore(settings, clock(), &file, gate_id)
            })
            .await
        }
        Some(Command::Purge(options)) => {
            use_table("purge", |settings| purge::run(settings, clock(), options)).await
        }
        Some(Command::Index(command)) => {
            let name = "rebuild the index";
            use_table(name, |settings| index::run(settings, clock(), command)).await
        }
        Some(Command::List(options)) => match &options.url {
            Some(url) => or_fail("list", list::list_through(url, &options).await),
            None => use_table("list", |settings| list::list(settings, clock(), &options)).await,
        },
        Some(Command::Resend(options)) => match &options.url {
            Some(url) => or_fail(
                "send it again",
                list::resend_through(url, &options.id).await,
            ),
            None => {
                use_table("send it again", |settings| {
                    list::resend(settings, clock(), &options.id)
                })
                .await
            }
        },
        Some(Command::Check(options)) => check::run(options).await,
        Some(Command::Pause(options)) => or_fail("pause", operate::pause(options).await),
        Some(Command::Resume(scope)) => or_fail("resume", operate::resume(scope).await),
        Some(Command::Executing(scope)) => {
            or_fail("list what is executing", operate::executing(scope).await)
        }
        Some(Command::Revoke(options)) => or_fail("revoke", operate::revoke(options).await),
        Some(Command::Grants(options)) => {
            or_fail("work on standing grants", operate::grants(options).await)
        }
        Some(Command::Webhooks(options)) => {
            or_fail("work on channels", webhooks::run(options).await)
        }
        Some(Command::Allow(options)) => or_fail("allow", operate::allow(options).await),
        Some(Command::Policy(command)) => or_fail(command.name(), policy::run(command).await),
        Some(Command::Keygen { alg }) => {
            keygen::run(alg);
            ExitCode::SUCCESS
        }
        Some(Command::PublicKey) => {
            let name = "print the public keys";
            use_table(name, async |settings| keygen::print_public(&settings)).await
        }
    }
}

impl Command {
    /// Whether it reads no setting of the gate. The client has settings of its own, which it checks itself.
    fn reads_no_setting(&self) -> bool {
        match self {
            #[cfg(unix)]
            Self::Ask(_) => true,
            Self::Keygen { .. } => true,
            _ => false,
        }
    }
}

/// Ends a command whose settings cannot be read.
fn refuse(command: Option<Command>, errors: ConfigErrors) -> ExitCode {
    match command {
        None | Some(Command::Demo { .. }) => does_not_start(&errors.into()),
        Some(Command::Check(options)) => check::refuse(&options, &errors),
        Some(_) => or_fail("read its settings", Err(errors.into())),
    }
}

async fn run_gate(gate: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    match gate.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => does_not_start(&error),
    }
}

fn does_not_start(error: &anyhow::Error) -> ExitCode {
    print_lines("human-oversight does not start", error);
    ExitCode::FAILURE
}

/// Runs a command that works on the table without the gate. Its exit code is 2 if the command fails.
async fn use_table<Fut>(name: &str, work: impl FnOnce(StoreSettings) -> Fut) -> ExitCode
where
    Fut: Future<Output = anyhow::Result<ExitCode>>,
{
    let result = match StoreSettings::read(environment::value) {
        Ok(settings) => work(settings).await,
        Err(error) => Err(error.into()),
    };
    or_fail(name, result)
}

/// The exit code of a command; 2 if it failed.
fn or_fail(name: &str, result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        print_lines(&format!("human-oversight cannot {name}"), &error);
        ExitCode::from(2)
    })
}

/// Names settings that have no effect, never their values.
fn print_unknown_settings() {
    for setting in KnownSettings::with_any_channel().unknown(environment::names()) {
        let nearest = setting.nearest.map(|it| format!(": {it} may be meant"));
        let nearest = nearest.unwrap_or_default();
        let name = setting.name;
        complain(&format!(
            "human-oversight: {name} is no setting and has no effect{nearest}"
        ));
    }
}

/// Each line tells by itself what it is about: the Functions host logs each alone.
fn print_lines(what: &str, error: &anyhow::Error) {
    for line in format!("{error:#}").lines() {
        complain(&format!("{what}: {line}"));
    }
}
