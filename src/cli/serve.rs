//! Running the gate.

use std::io::{self, IsTerminal};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use human_oversight::app::{self, App};
use human_oversight::config::{self, Config, KnownSettings};
use human_oversight::http;
use human_oversight::mailer::TransportConfig;
use human_oversight::policy::Policy;
use human_oversight::store::StoreError;
use human_oversight::values::AllowList;
use human_oversight::version::VERSION;
use tokio::net::TcpListener;

use super::clock::clock;
use super::environment;
use super::log;

/// The longest time from a signal to the end of the process.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs the gate until a signal stops it. That it cannot start is an error: the Functions host does not restart a
/// handler that ended without one.
pub(crate) async fn run() -> anyhow::Result<()> {
    let config = settings()?;
    log::init(config.log.clone(), config.log_format);
    warn_of_unknown_settings(&KnownSettings::with(config.policy.as_ref()));
    if config::hides_events(&config.log) {
        // At a level that such a filter passes on.
        tracing::error!("HO_LOG leaves out lines that alerts and saved queries look for");
    }
    let (app, listener) = open(config).await?;
    if let Some(policy) = &app.config.policy {
        let (digest, rules) = (policy.digest(), policy.rules());
        tracing::info!(%digest, version = Policy::VERSION, rules, "the policy is in force");
    }
    if app.config.paused {
        tracing::warn!("HO_PAUSED is set: every operation is paused");
    }
    let url = &app.base_url;
    let (version, store) = (VERSION.as_str(), app.config.store.name());
    let (mail, keys) = (app.config.mail.name(), app.key_states(app.now()).join(", "));
    macro_rules! log_start {
        ($words:literal $(, $inbox:ident)?) => {
            tracing::info!(url, $($inbox,)? version, store, mail, keys, $words)
        };
    }
    if app.config.production {
        log_start!("listening");
    } else if let TransportConfig::File(_) = app.config.mail {
        let inbox = format!("{url}/inbox");
        log_start!(
            "listening (development mode: anyone who can read the inbox can approve)",
            inbox
        );
    } else {
        log_start!("listening (development mode)");
    }
    if let Some(schedule) = &app.config.sweep_schedule
        && app.config.behind_host
    {
        let next = schedule.next(app.now()).map(|next| next.to_string());
        tracing::info!(next, "the host triggers the sweep");
    }
    if !app.config.production && io::stderr().is_terminal() {
        // As it was started: after `cargo run` the program is in no directory of PATH.
        let program = std::env::args().next();
        let program = program.as_deref().unwrap_or("human-oversight");
        let has_inbox = matches!(app.config.mail, TransportConfig::File(_));
        let inbox = has_inbox.then_some(&app.config.allowed_approvers);
        eprint!("{}", banner(url, program, inbox));
    }
    serve(app, listener).await
}

/// What a person who starts the gate in a terminal needs next. The inbox, if there is one, has the emails to these people.
fn banner(url: &str, program: &str, inbox: Option<&AllowList>) -> String {
    let approver = if inbox == Some(&AllowList::Anyone) {
        "approver@example.com"
    } else {
        "ADDRESS"
    };
    let inbox = if inbox.is_some() {
        format!("  The inbox with its emails: {url}/inbox\n")
    } else {
        String::new()
    };
    format!(
        "\n  The gate is listening at {url}\n{inbox}\n  \
         Try it in another terminal:\n    \
         HO_URL={url} {program} ask --agent me --action \"Say hello\" \\\n      \
         --approver {approver} -- echo hello\n\n  \
         Agents in Rust, Python and TypeScript: README.md. Every command: docs/command-line.md.\n  \
         Press Ctrl-C to stop it.\n\n"
    )
}

/// Logs at once if the store is unavailable. Only the first sweep waits for it, since it would miss tables
/// that are still being created.
///
/// # Errors
/// When the table belongs to a gate with another id.
async fn prepare_and_sweep(app: Arc<App>) -> anyhow::Result<()> {
    match app.store.prepare().await {
        Ok(()) => {}
        Err(error @ StoreError::GateId { .. }) => return Err(error.into()),
        Err(error) => tracing::error!(cause = %error, "the store is unavailable"),
    }
    if !app.config.behind_host {
        app::sweep_forever(app).await;
    }
    Ok(())
}

/// Serves requests until a signal stops the gate.
///
/// # Errors
/// When the table belongs to a gate with another id, or a bug has ended the server.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener) -> anyhow::Result<()> {
    let mut sweeping = tokio::spawn(prepare_and_sweep(app.clone()));
    let mut serving = tokio::spawn(http::serve(listener, app.clone()));
    let signal = tokio::select! {
        // After a panic in there, the gate goes on: it prepares its store when it needs it.
        Ok(Err(error)) = &mut sweeping => return Err(error),
        // After a panic in there, the process would only sweep. The message of a panic may contain what a caller sent.
        _ = &mut serving => bail!("the server has ended"),
        signal = stop_signal() => signal?,
    };
    let started = Instant::now();
    let (calls, waiting) = (app.calls.open(), app.waits.count());
    tracing::info!(
        signal,
        calls,
        waiting,
        "stopping: no new calls; those that wait for a decision are answered"
    );
    app.calls.end();
    let ending = async {
        serving.await.ok();
        if !sweeping.is_finished() {
            sweeping.await.ok();
        }
        app.calls.settle().await;
        app.store.settle().await;
    };
    let ended = tokio::time::timeout(STOP_WITHIN, ending).await;
    let calls = app.calls.open();
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match ended {
        Ok(()) => tracing::info!(calls, ms, "stopped"),
        Err(_) => tracing::warn!(calls, ms, "stopped before everything had ended"),
    }
    Ok(())
}

/// The name of the signal that stops the gate, once it arrives.
#[cfg(unix)]
async fn stop_signal() -> io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

#[cfg(not(unix))]
async fn stop_signal() -> io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "Ctrl-C")
}

/// Names settings that have no effect, never their values.
fn warn_of_unknown_settings(known: &KnownSettings) {
    for setting in known.unknown(environment::names()) {
        let (name, nearest) = (setting.name, setting.nearest);
        tracing::warn!(
            name,
            nearest,
            "there is no setting of this name: it has no effect"
        );
    }
}

pub(crate) fn settings() -> anyhow::Result<Config> {
    Ok(Config::read(environment::value)?)
}

/// Binds the port and builds the gate, without waiting for the store.
pub(crate) async fn open(config: Config) -> anyhow::Result<(Arc<App>, TcpListener)> {
    let address = (Ipv4Addr::LOCALHOST, config.port);
    let listener = match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let port = config.port;
            if config.behind_host {
                bail!("port {port}, which the Functions host has chosen, is in use");
            }
            bail!("port {port} is in use: set HO_PORT to another port")
        }
        listener => listener.with_context(|| format!("port {} cannot be opened", config.port))?,
    };
    let port = listener.local_addr().context("the port is unknown")?.port();
    let app = App::assemble(config, port, clock())?;
    Ok((Arc::new(app), listener))
}

#[cfg(test)]
mod tests {
    use human_oversight::values::AllowList;

    use super::banner;

    #[test]
    fn the_banner_names_the_inbox_and_an_address_only_if_there_is_one() {
        let url = "http://127.0.0.1:7071";
        let with = banner(url, "target/gate", Some(&AllowList::Anyone));
        assert!(with.contains("listening at http://127.0.0.1:7071\n"));
        assert!(with.contains(" http://127.0.0.1:7071/inbox\n"));
        assert!(with.contains("HO_URL=http://127.0.0.1:7071 target/gate ask "));
        assert!(with.contains(" --approver approver@example.com "));
        let without = banner(url, "target/gate", None);
        assert!(!without.contains("inbox"));
        // Nothing is sent to an address that only an example has.
        assert!(!without.contains("example.com"));
        let listed = AllowList::parse("alice@example.com").unwrap();
        let listed = banner(url, "target/gate", Some(&listed));
        assert!(listed.contains(" --approver ADDRESS "));
    }
}
