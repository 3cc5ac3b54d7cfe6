//! The gate as a program: behind the Azure Functions host, by itself for development, or as a demo.

#[cfg(unix)]
mod ask;
mod backup;
mod demo;
mod maintenance;
mod purge;
mod verify;

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use human_oversight::config::{Config, TableSettings};
use human_oversight::http::{self, App};
use human_oversight::keyring;
use human_oversight::mailer::MailChoice;
use human_oversight::store::StoreError;
use human_oversight::timestamp::{Clock, Timestamp};
use tokio::net::TcpListener;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

const USAGE: &str = "usage: human-oversight [COMMAND]

  (none)                    run the gate
  demo [--timeout SECONDS]  run the gate and an agent that asks it; decide in the inbox
  ask OPTIONS -- COMMAND    run a command only after a person approved it (not on Windows)
  verify [--keys FILE]      hold every row of the table against its proofs; FILE as /api/keys gives it
  backup FILE               copy the table into a new file, a row a line
  restore FILE              put rows of such a copy back, never over one that is there;
                            with --gate-id ID those of the gate ID too
  purge --older-than DAYS   say what ended so long ago; with --delete, delete it
  keygen                    print fresh keys as HO_LINK_KEYS and HO_RECEIPT_KEYS take them
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> = std::env::args_os()
        .skip(1)
        .map(OsString::into_string)
        .collect();
    let Ok(arguments) = arguments else {
        eprintln!("human-oversight: an argument is no UTF-8, so nobody could read it");
        return ExitCode::from(2);
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => run().await,
        ["demo"] => demo::run(demo::TIMEOUT).await,
        ["demo", "--timeout", seconds] => match seconds.parse() {
            Ok(seconds) => demo::run(std::time::Duration::from_secs(seconds)).await,
            Err(_) => Err(anyhow!("--timeout takes a whole number of seconds")),
        },
        #[cfg(unix)]
        ["ask", arguments @ ..] => return ask(arguments).await,
        ["verify"] => {
            return table("verify", |settings| verify::run(settings, clock(), None)).await;
        }
        ["verify", "--keys", file] => {
            let keys = Some(Path::new(file));
            return table("verify", |settings| verify::run(settings, clock(), keys)).await;
        }
        ["backup", file] => {
            let file = Path::new(file);
            return table("back up", |settings| backup::run(settings, clock(), file)).await;
        }
        ["restore", file] => return restore(file, None).await,
        ["restore", file, "--gate-id", id] | ["restore", "--gate-id", id, file] => {
            return restore(file, Some(id)).await;
        }
        ["purge", "--older-than", days] | ["purge", "--older-than", days, "--delete"] => {
            let Ok(days) = days.parse() else {
                eprintln!("human-oversight: --older-than takes a whole number of days");
                return ExitCode::from(2);
            };
            let delete = arguments.last() == Some(&"--delete");
            return table("purge", |settings| {
                purge::run(settings, clock(), days, delete)
            })
            .await;
        }
        ["keygen"] => {
            keygen();
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("human-oversight does not start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends as the command does, or with a code that says why it did not run.
#[cfg(unix)]
async fn ask(arguments: &[&str]) -> ExitCode {
    let code = ask::run(arguments).await;
    ExitCode::from(code.unwrap_or_else(|wrong| {
        eprintln!("human-oversight ask: {wrong:#}");
        2
    }))
}

/// Works on the table by itself. Ends with 2 when it could not.
async fn table<Fut>(name: &str, work: impl FnOnce(TableSettings) -> Fut) -> ExitCode
where
    Fut: Future<Output = anyhow::Result<ExitCode>>,
{
    let done = match TableSettings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => work(settings).await,
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("human-oversight cannot {name}: {error:#}");
        ExitCode::from(2)
    })
}

async fn restore(file: &str, other_gate: Option<&str>) -> ExitCode {
    let file = Path::new(file);
    table("restore", |settings| {
        backup::restore(settings, clock(), file, other_gate)
    })
    .await
}

fn clock() -> Clock {
    Arc::new(now)
}

/// Never returns unless it could not start: to the Functions host, an end without an error would
/// look like one that was meant.
async fn run() -> anyhow::Result<()> {
    let config = settings()?;
    log(&config.log)?;
    let (app, listener) = open(config).await?;
    let url = &app.base_url;
    if app.config.production {
        tracing::info!(url, "the gate is open");
    } else if let MailChoice::File(_) = app.config.mail {
        let inbox = format!("{url}/inbox");
        tracing::info!(
            url,
            inbox,
            "the gate is open, for development: whoever reads the inbox can approve"
        );
    } else {
        tracing::info!(url, "the gate is open, for development");
    }
    serve(app, listener).await
}

/// Shows at once whether the store can be used. Only the first sweep waits for it, which would miss a table
/// that is only being made.
///
/// # Errors
/// When the table belongs to a gate with another id.
async fn prepare_and_sweep(app: Arc<App>) -> anyhow::Result<()> {
    match app.store.prepare().await {
        Ok(()) => {}
        Err(error @ StoreError::GateId { .. }) => return Err(error.into()),
        Err(error) => tracing::error!(cause = %error, "the store cannot be used"),
    }
    if !app.config.behind_host {
        http::sweep_for_ever(app).await;
    }
    Ok(())
}

/// Answers requests until it is found that they are another gate's.
async fn serve(app: Arc<App>, listener: TcpListener) -> anyhow::Result<()> {
    let preparing = tokio::spawn(prepare_and_sweep(app.clone()));
    tokio::spawn(http::serve(listener, app));
    // A panic in there leaves the gate as it is: it prepares its store when it needs it.
    if let Ok(prepared) = preparing.await {
        prepared?;
    }
    std::future::pending().await
}

fn settings() -> anyhow::Result<Config> {
    Ok(Config::read(|name| std::env::var(name).ok())?)
}

/// Binds the port and puts the gate together; nothing that takes time.
async fn open(config: Config) -> anyhow::Result<(Arc<App>, TcpListener)> {
    let address = (Ipv4Addr::LOCALHOST, config.port);
    let listener = match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!("port {} is in use: give HO_PORT another one", config.port)
        }
        listener => listener.with_context(|| format!("port {} cannot be opened", config.port))?,
    };
    let port = listener
        .local_addr()
        .context("the port is not known")?
        .port();
    let app = App::assemble(config, port, clock())?;
    Ok((Arc::new(app), listener))
}

/// The one clock of the program.
fn now() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis())
        .ok()
        .and_then(Timestamp::from_unix_millis)
        .expect("the year has four digits")
}

/// Libraries that log what they send: a level that is asked for does not reach them.
const TALKATIVE: [&str; 5] = [
    "azure_core",
    "azure_data_tables",
    "azure_identity",
    "azure_storage",
    "typespec_client_core",
];

/// As the Functions host reads it: what is well to stdout, warnings and errors to stderr, one line
/// each.
fn log(filter: &str) -> anyhow::Result<()> {
    let Ok(mut filter) = EnvFilter::builder().parse(filter) else {
        bail!("HO_LOG cannot be used: it must be a level or a filter of tracing");
    };
    for library in TALKATIVE {
        let quiet = format!("{library}=warn").parse();
        filter = filter.add_directive(quiet.expect("a directive"));
    }
    let by_level = io::stderr
        .with_max_level(Level::WARN)
        .or_else(io::stdout.with_min_level(Level::INFO));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(by_level)
        .with_ansi(false)
        .with_target(false)
        .init();
    // One line, and nothing of what was being worked on.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a panic: this is a fault of the gate");
    }));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn keygen() {
    println!("HO_LINK_KEYS={}", keyring::fresh_link_key());
    println!("HO_RECEIPT_KEYS={}", keyring::fresh_receipt_key());
}
