//! `human-oversight list`: what is open, what is not sent, and what cannot be trusted; and `human-oversight resend`.

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use human_oversight::app;
use human_oversight::config::{StoreSettings, read_allowed_approvers};
use human_oversight::domain::Requeued;
use human_oversight::http::{inspection, listed};
use human_oversight::values::{ApprovalId, Clock};
use human_oversight_protocol::operate::{Listed, Resent, What};
use serde::Serialize;
use serde_json::json;

use super::environment;
use super::maintenance::{Access, check_clock, open_existing, receipt_keys};
use super::operate::remote;
use super::output::{plain, say, show};
use super::unknown_id::NO_REQUEST;

/// List requests: what is open, what is not sent, or what cannot be trusted
///
/// The exit code is 1 if --damaged finds something, or if requests cannot be read; 2 if a table cannot be read; or else 0.
#[derive(Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    what: Listing,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Listing {
    /// What waits for a decision or a claim
    #[arg(long)]
    open: bool,
    /// Emails that were not accepted, or perhaps not
    #[arg(long)]
    unsent: bool,
    /// Rows and due entries that cannot be trusted
    #[arg(long)]
    damaged: bool,
}

/// Send the emails of a request again, with the next sweep
///
/// While it is pending, the request is sent again to each person whose vote is needed, even if it was accepted before.
/// After its end, the notices that were given up are. People who are not on HO_ALLOWED_APPROVERS, if the command has
/// it, get nothing. The exit code is 1 if there is nothing to send; 2 if the request does not exist or cannot be
/// changed; or else 0.
#[derive(Args)]
pub(crate) struct ResendOptions {
    /// The request's id
    pub(crate) id: ApprovalId,
    /// Work through the gate at this address, with the host's master key in HO_MASTER_KEY
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// Prints what was asked for, and how much it is.
///
/// # Errors
/// When a table cannot be read.
pub(crate) async fn list(
    settings: StoreSettings,
    clock: Clock,
    options: &ListOptions,
) -> anyhow::Result<ExitCode> {
    let store = open_existing(&settings, clock.clone()).await?;
    check_clock(&store, Access::Reads).await?;
    let keys = receipt_keys(&settings)?;
    let what = inspection(options.what.wire());
    let (mut printer, mut from, now) = (Printer::new(options), None, clock());
    loop {
        let page = app::inspect(&store, keys.as_ref(), what, from, now).await;
        let page = page.context("a table cannot be read")?;
        printer.print_page(&listed(what, &page, now));
        from = page.next;
        if from.is_none() {
            return Ok(printer.end());
        }
    }
}

/// As [`list`], through the gate at this address.
///
/// # Errors
/// When the gate cannot be used, or refuses.
pub(crate) async fn list_through(url: &str, options: &ListOptions) -> anyhow::Result<ExitCode> {
    let (gate, what) = (remote(url)?, options.what.wire());
    let (mut printer, mut from) = (Printer::new(options), None);
    loop {
        let page = gate.list(what, from).await?;
        printer.print_page(&page);
        from = page.next;
        if from.is_none() {
            return Ok(printer.end());
        }
    }
}

/// Queues the emails of a request again.
///
/// # Errors
/// When the request does not exist, cannot be trusted or cannot be written.
pub(crate) async fn resend(
    settings: StoreSettings,
    clock: Clock,
    id: &ApprovalId,
) -> anyhow::Result<ExitCode> {
    let list = read_allowed_approvers(environment::value)?;
    let store = open_existing(&settings, clock.clone()).await?;
    check_clock(&store, Access::Writes).await?;
    let queued = match app::resend(&store, id, &list, &clock).await {
        Ok(queued) => queued,
        Err(app::Error::NotFound) => bail!(NO_REQUEST),
        Err(app::Error::Conflict(_)) => bail!("the request belongs to the legacy Logic App"),
        Err(error) => {
            let cause = error.cause().unwrap_or("the store cannot be used");
            return Err(anyhow!("{cause}"));
        }
    };
    store.settle().await;
    Ok(say_queued(queued, id))
}

/// As [`resend`], through the gate at this address.
///
/// # Errors
/// When the gate cannot be used, or refuses.
pub(crate) async fn resend_through(url: &str, id: &ApprovalId) -> anyhow::Result<ExitCode> {
    let Resent { queued, locked, .. } = remote(url)?.resend(id).await?;
    let emails = queued;
    let queued = Requeued { emails, locked };
    Ok(say_queued(queued, id))
}

fn say_queued(Requeued { emails, locked }: Requeued, id: &ApprovalId) -> ExitCode {
    say(&match emails {
        0 => format!(
            "Nothing to send: {id}. What is due is sent by the next sweep anyway; people who are not on HO_ALLOWED_APPROVERS \
             get nothing."
        ),
        1 => format!("1 email is sent again with the next sweep: {id}"),
        _ => format!("{emails} emails are sent again with the next sweep: {id}"),
    });
    if locked > 0 {
        say(&format!(
            "{locked} of them cannot be answered with an approval: the link is locked after five wrong codes. Where the other \
             people are too few, the agent withdraws and asks again."
        ));
    }
    ExitCode::from(u8::from(emails == 0))
}

impl Listing {
    fn wire(&self) -> What {
        match self {
            Self { open: true, .. } => What::Open,
            Self { unsent: true, .. } => What::Unsent,
            Self { .. } => What::Damaged,
        }
    }
}

/// Prints one line for each thing.
struct Printer {
    what: What,
    json: bool,
    printed: usize,
    /// Requests that are in no line since they cannot be read.
    unreadable: usize,
}

impl Printer {
    fn new(options: &ListOptions) -> Self {
        Self {
            what: options.what.wire(),
            json: options.json,
            printed: 0,
            unreadable: 0,
        }
    }

    fn print_page(&mut self, page: &Listed) {
        self.unreadable += page.unreadable;
        for open in &page.open {
            let (id, status) = (&open.id, &open.status);
            let until = open.claim_by.as_ref().unwrap_or(&open.expires_at);
            let (delivered, agent) = (&open.deliverable, &open.agent_name);
            let locked = match open.locked {
                0 => String::new(),
                locked => format!("  locked links {locked}"),
            };
            let text =
                format!("{id}  {status}  until {until}  emails {delivered}{locked}  {agent}");
            self.print(&plain(&text), open);
        }
        for unsent in &page.unsent {
            let (id, kind, to) = (&unsent.id, &unsent.kind, &unsent.to);
            let (state, at, attempts) = (&unsent.state, &unsent.at, unsent.attempts);
            let fault = unsent.fault.as_deref().unwrap_or_default();
            let text = format!("{id}  {kind}  {to}  {state} {at}  attempts {attempts}  {fault}");
            self.print(plain(&text).trim_end(), unsent);
        }
        for damaged in &page.damaged {
            let (table, row, cause) = (&damaged.table, &damaged.row, &damaged.cause);
            let text = format!("{table} {}: {}", plain(row), plain(cause));
            self.print(&text, damaged);
        }
    }

    fn print(&mut self, text: &str, json: &impl Serialize) {
        self.printed += 1;
        if self.json {
            show(&serde_json::to_string(json).expect("plain structs are JSON"));
        } else {
            show(text);
        }
    }

    /// Prints how much it was.
    fn end(self) -> ExitCode {
        let what = match self.what {
            What::Open => "open",
            What::Unsent => "not sent",
            What::Damaged => "cannot be trusted",
        };
        let unreadable = self.unreadable;
        match (self.json, unreadable) {
            (true, 0) => {}
            (true, _) => show(&json!({"unreadable": unreadable}).to_string()),
            (false, _) => show(&format!("{} {what}.", self.printed)),
        }
        if !self.json && unreadable > 0 {
            show(&format!(
                "{unreadable} requests cannot be read or trusted; each of them may be {what}: see `verify`."
            ));
        }
        let has_damage = self.what == What::Damaged && self.printed > 0;
        ExitCode::from(u8::from(has_damage || unreadable > 0))
    }
}
