//! `human-oversight list`: what is open, what is not sent, and what cannot be trusted; and `human-oversight resend`.

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use human_oversight::app;
use human_oversight::config::TableSettings;
use human_oversight::domain::{Approval, Delivery, DeliveryState};
use human_oversight::keys::receipt::{self, ReceiptKeys};
use human_oversight::store::{Store, StoreError};
use human_oversight::values::{ApprovalId, Clock, Timestamp};
use serde_json::{Value, json};

use super::maintenance::{
    for_each_decided_row, for_each_row, for_each_standing_row, named, open_existing, say,
};
use super::operate::remote;

/// List requests: what is open, what is not sent, or what cannot be trusted
///
/// The exit code is 1 if --damaged finds something; 2 if a table cannot be read; or else 0.
#[derive(Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    what: What,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
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
/// After its end, the notices that were given up are. The exit code is 1 if there is nothing to send; 2 if the request
/// does not exist or cannot be changed; or else 0.
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
    settings: TableSettings,
    clock: Clock,
    options: ListOptions,
) -> anyhow::Result<ExitCode> {
    let store = open_existing(&settings, clock.clone())?;
    let mut printer = Printer {
        json: options.json,
        printed: 0,
    };
    let now = clock();
    if options.what.damaged {
        let keys = named(&settings, &settings.receipt_keys, "receipt.keys")?;
        let keys = keys.map(|keys| ReceiptKeys::new(&keys)).transpose();
        let keys = keys.context("HO_RECEIPT_KEYS cannot be used")?;
        list_damaged(&store, keys.as_ref(), now, &mut printer).await?;
        printer.total("cannot be trusted");
        return Ok(ExitCode::from(u8::from(printer.printed > 0)));
    }
    for_each_row(&store, async |row| {
        if let Ok(approval) = &row.approval {
            if options.what.open && approval.is_open(now) {
                print_open(approval, now, &mut printer);
            } else if options.what.unsent {
                print_unsent(approval, &mut printer);
            }
        }
        Ok(())
    })
    .await?;
    printer.total(if options.what.open {
        "open"
    } else {
        "not sent"
    });
    Ok(ExitCode::SUCCESS)
}

/// Queues the emails of a request again.
///
/// # Errors
/// When the request does not exist, cannot be trusted or cannot be written.
pub(crate) async fn resend(
    settings: TableSettings,
    clock: Clock,
    id: &ApprovalId,
) -> anyhow::Result<ExitCode> {
    let store = open_existing(&settings, clock.clone())?;
    let queued = match app::resend(&store, id, &clock).await {
        Ok(queued) => queued,
        Err(app::Error::NotFound) => bail!("no request has this id"),
        Err(app::Error::Conflict(_)) => bail!("the request belongs to the legacy Logic App"),
        Err(error) => {
            let cause = error.cause().unwrap_or("the store cannot be used");
            return Err(anyhow!("{cause}"));
        }
    };
    store.settle().await;
    Ok(say_queued(queued, id))
}

/// The same through the gate at this address.
///
/// # Errors
/// When the gate cannot be used, or refuses.
pub(crate) async fn resend_through(url: &str, id: &ApprovalId) -> anyhow::Result<ExitCode> {
    let queued = remote(url)?.resend(id).await?.queued;
    Ok(say_queued(queued, id))
}

fn say_queued(queued: usize, id: &ApprovalId) -> ExitCode {
    say(&match queued {
        0 => format!("Nothing to send: {id}. What is due is sent by the next sweep anyway."),
        1 => format!("1 email is sent again with the next sweep: {id}"),
        _ => format!("{queued} emails are sent again with the next sweep: {id}"),
    });
    ExitCode::from(u8::from(queued == 0))
}

/// Prints one line for each thing.
struct Printer {
    json: bool,
    printed: usize,
}

impl Printer {
    fn print(&mut self, text: &str, json: &Value) {
        self.printed += 1;
        say(&if self.json {
            json.to_string()
        } else {
            text.to_owned()
        });
    }

    fn total(&self, what: &str) {
        if !self.json {
            say(&format!("{} {what}.", self.printed));
        }
    }
}

fn print_open(approval: &Approval, now: Timestamp, printer: &mut Printer) {
    let request = &approval.request;
    let (id, until) = (request.id.to_string(), request.expires_at.to_string());
    let (status, delivered) = (approval.status(now).word(), approval.deliverable().word());
    let agent = request.id.agent();
    let text = format!("{id}  {status}  until {until}  emails {delivered}  {agent}");
    let json = json!({
        "id": id, "agentName": agent, "status": status, "expiresAt": until, "deliverable": delivered,
    });
    printer.print(&text, &json);
}

fn print_unsent(approval: &Approval, printer: &mut Printer) {
    let id = approval.request.id.to_string();
    for approver in &approval.approvers {
        let unsent = approver.deliveries.iter();
        for delivery in unsent.filter(|delivery| is_unsent(delivery)) {
            let (state, at) = (delivery.state.word(), delivery.state.at());
            let (kind, at) = (delivery.notice.word(), at.to_string());
            let fault = delivery.fault.map_or("", |fault| fault.word());
            let (to, attempts) = (approver.address.to_string(), delivery.attempts);
            let text = format!("{id}  {kind}  {to}  {state} {at}  attempts {attempts}  {fault}");
            let json = json!({
                "id": id, "kind": kind, "to": to, "state": state, "at": at, "attempts": attempts,
                "fault": delivery.fault.map(|fault| fault.word()),
            });
            printer.print(text.trim_end(), &json);
        }
    }
}

/// Whether an email was tried and not accepted, or given up. A reminder that is not due yet was not tried.
fn is_unsent(delivery: &Delivery) -> bool {
    match delivery.state {
        DeliveryState::Queued(_) => delivery.fault.is_some(),
        DeliveryState::Sending(_) | DeliveryState::Failed(_) | DeliveryState::Unknown(_) => true,
        DeliveryState::Sent(_) | DeliveryState::Dropped(_) => false,
    }
}

/// Prints every row that cannot be trusted, and every due entry that is not of the gate.
async fn list_damaged(
    store: &Store,
    keys: Option<&ReceiptKeys>,
    now: Timestamp,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let mut print = |table: &str, name: &str, cause: &str| {
        let json = json!({"table": table, "row": name, "cause": cause});
        printer.print(&format!("{table} {name}: {cause}"), &json);
    };
    for_each_row(store, async |row| {
        let (partition, key) = &row.keys;
        let cause = match &row.approval {
            Err(StoreError::Legacy) => None,
            Err(error) => Some(error.to_string()),
            Ok(approval) => keys.and_then(|keys| {
                let checked = receipt::check(approval, keys.public());
                checked.err().map(|contradiction| contradiction.to_string())
            }),
        };
        if let Some(cause) = cause {
            print("row", &format!("{partition}/{key}"), &cause);
        }
        Ok(())
    })
    .await?;
    for_each_standing_row(store, async |row| {
        if let Some(Err(error)) = &row.row {
            let (partition, key) = &row.keys;
            print(
                "standing row",
                &format!("{partition}/{key}"),
                &error.to_string(),
            );
        }
        Ok(())
    })
    .await?;
    for_each_decided_row(store, async |row| {
        if let Err(error) = &row.checked {
            let (partition, key) = &row.keys;
            print(
                "kept decision",
                &format!("{partition}/{key}"),
                &error.to_string(),
            );
        }
        Ok(())
    })
    .await?;
    for entry in foreign_entries(store, now).await? {
        print("due entry", &entry, "it is not of the gate");
    }
    Ok(())
}

/// The due entries that the gate did not write.
async fn foreign_entries(store: &Store, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let (mut entries, mut place) = (Vec::new(), None);
    loop {
        let listed = store.due(now, place).await;
        let page = listed.context("the due index cannot be read")?;
        entries.extend(page.due.into_iter().filter_map(|due| due.id.err()));
        place = page.next;
        if place.is_none() {
            return Ok(entries);
        }
    }
}
