//! `human-oversight demo`: the gate, and an example agent that submits a request over HTTP before it deletes
//! a user. The person at the terminal is the approver.

#![expect(
    clippy::print_stdout,
    reason = "the output is for a person at a terminal"
)]

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use human_oversight::config::{Config, KnownSettings};
use human_oversight::render::format_duration;
use human_oversight_client::{Client, Gate, Outcome};
use human_oversight_protocol::receipt;
use human_oversight_protocol::types::Approval;
use serde::Serialize;

use super::environment;
use super::output::say;
use super::serve;

const AGENT: &str = "UserManagerAgent";
const APPROVER: &str = "approver@example.com";
const DENIED: &str = "DENIED: User deletion was not approved.";
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The parameters of the action, as the approver sees them.
#[derive(Serialize)]
struct DeleteUser {
    user_id: String,
    email: String,
    delete_mailbox: bool,
}

/// The directory that the agent administers.
struct Users(BTreeMap<&'static str, &'static str>);

impl Users {
    fn list(&self) -> String {
        let users: Vec<_> = self
            .0
            .iter()
            .map(|(id, email)| format!("{id}: {email}"))
            .collect();
        users.join(", ")
    }

    fn delete(&mut self, user: &DeleteUser) -> String {
        match self.0.remove(user.user_id.as_str()) {
            Some(email) => format!("User {} ({email}) deleted.", user.user_id),
            None => format!("User {} not found.", user.user_id),
        }
    }
}

pub(crate) async fn run(timeout: Duration) -> anyhow::Result<()> {
    let (app, listener) = serve::open(settings()?).await?;
    let url = app.base_url.clone();
    tokio::select! {
        ended = demonstrate(&url, timeout) => ended,
        stopped = serve::serve(app, listener) => stopped,
    }
}

/// The settings of a gate on this machine, which takes from the environment only what cannot stop the demo. Says what is
/// left out: it may be meant for another gate.
fn settings() -> anyhow::Result<Config> {
    for (name, beginning) in [("HO_STORE", "embedded:"), ("HO_MAIL", "file:")] {
        let value = environment::value(name).unwrap_or_default();
        if !value.trim().is_empty() && !value.trim_start().starts_with(beginning) {
            bail!("the demo cannot be used with this {name}: unset it, or set {beginning}FOLDER");
        }
    }
    // A setting that cannot be used is a fault, also one that is left out.
    let config = serve::settings()?;
    let known = KnownSettings::with(config.policy.as_ref());
    let in_force = known
        .in_force(environment::names(), environment::value)
        .into_keys();
    let left_out: Vec<String> = in_force.filter(|name| !is_taken(name)).collect();
    if !left_out.is_empty() {
        let left_out = left_out.join(", ");
        say(&format!("The demo leaves out these settings: {left_out}"));
    }
    Ok(Config::read(|name| {
        environment::value(name).filter(|_| is_taken(name))
    })?)
}

fn is_taken(name: &str) -> bool {
    let taken = [
        "HO_STORE",
        "HO_MAIL",
        "HO_PORT",
        "HO_GATE_ID",
        "HO_TIME_ZONE",
    ];
    taken.contains(&name)
        || ["HO_BRAND_", "HO_LINK_KEYS", "HO_RECEIPT_KEYS"]
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

/// The example agent, at the gate at `url`.
async fn demonstrate(url: &str, timeout: Duration) -> anyhow::Result<()> {
    let mut users = Users(BTreeMap::from([
        ("1", "former-contractor@example.com"),
        ("2", "accounting@example.com"),
        ("3", "support@example.com"),
    ]));
    say(&format!("The gate is listening at {url}\n"));
    say(&format!("{AGENT}: list_users() -> {}", users.list()));
    say(&format!("{AGENT}: delete_user(1) needs an approval"));

    let client = Client::new(url, None)?;
    let action = Gate::new(client.clone())
        .agent(AGENT)
        .approvers([APPROVER])
        .action("Delete User Account")
        .reason("The contract ended last month and the account has not been used since.")
        .timeout(timeout);
    let user = DeleteUser {
        user_id: "1".to_owned(),
        email: "former-contractor@example.com".to_owned(),
        delete_mailbox: true,
    };
    let pending = action.submit(&user).await?;
    let id = pending.handle().id.clone();
    say(&format!(
        "\nYou are {APPROVER}. Open your inbox and decide:\n\n    {url}/inbox\n"
    ));

    let spinner = tokio::spawn(show_remaining_time(timeout));
    let outcome = pending.run(&user, async |user| users.delete(user)).await;
    spinner.abort();
    spinner.await.ok();
    clear_line();

    let result = match outcome {
        Outcome::Executed(result) => {
            let (approval, _) = client.status(&id, Duration::ZERO).await?;
            show_receipt(&client, &approval).await?;
            result
        }
        Outcome::Refused(refusal) => {
            say(&refusal.to_string());
            DENIED.to_owned()
        }
    };
    say(&format!("{AGENT}: delete_user(1) -> {result}"));
    say(&format!("{AGENT}: list_users() -> {}", users.list()));
    keep_running().await;
    Ok(())
}

/// Keeps the gate running for the approver's browser, which is about to load the result.
async fn keep_running() {
    if std::io::stdout().is_terminal() {
        say("\nThe gate keeps running so that you can look around. Press Ctrl-C to stop it.");
        std::future::pending().await
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
}

/// Verifies the receipt, which takes only the gate's public keys.
async fn show_receipt(client: &Client, approval: &Approval) -> anyhow::Result<()> {
    let signed = approval
        .receipt
        .as_deref()
        .context("the approval has no receipt")?;
    let claims = receipt::verify(signed, &client.keys().await?)?;
    say(&format!(
        "Receipt verified: {:?} by {}",
        claims.decision, claims.approver
    ));
    say(&format!(
        "    for {} of {}",
        claims.action_description, claims.aud
    ));
    say(&format!(
        "    with parameters of SHA-256 {}",
        claims.parameters_digest
    ));
    Ok(())
}

/// Shows the time that remains, until it is cancelled.
async fn show_remaining_time(timeout: Duration) {
    let started = Instant::now();
    if !std::io::stdout().is_terminal() {
        say(&format!(
            "Waiting for your decision, {} at most.",
            format_duration(timeout)
        ));
        return;
    }
    for frame in FRAMES.into_iter().cycle() {
        let left = timeout.saturating_sub(started.elapsed());
        print!(
            "\r\x1b[2K{frame} Waiting for your decision ({} left)",
            format_duration(left)
        );
        std::io::stdout().flush().ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn clear_line() {
    if std::io::stdout().is_terminal() {
        print!("\r\x1b[2K");
    }
}
