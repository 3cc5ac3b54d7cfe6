//! What `reconcile` prints.

use std::process::ExitCode;

use human_oversight::domain::{Counts, Coverage, Mismatch, Performed, Unsettled};
use human_oversight::reveal;
use human_oversight::values::Timestamp;
use serde_json::{Value, json};

use super::table::Table;
use crate::cli::held::HeldOutput;
use crate::cli::output::say;

/// The longest name of an action that is shown in one line.
const NAME_CHARS: usize = 200;

/// Prints mismatches as they come, and the counts. JSON is printed at the end, or not at all.
pub(super) struct Report {
    json: Option<HeldOutput>,
    table: Option<Table>,
    /// Rows that cannot be read or trusted.
    unreadable: u64,
    /// Lines that the mapping or the times left out.
    pub(super) ignored: u64,
    named: u64,
}

impl Report {
    pub(super) fn new(json: bool, table: Option<Table>, unreadable: u64) -> anyhow::Result<Self> {
        let mut json = json.then(HeldOutput::new).transpose()?;
        if let Some(json) = &mut json {
            json.line("{\"mismatches\": [")?;
        }
        Ok(Self {
            json,
            table,
            unreadable,
            ignored: 0,
            named: 0,
        })
    }

    pub(super) fn print(&mut self, mismatch: &Mismatch) -> anyhow::Result<()> {
        let comma = if self.named == 0 { "" } else { "," };
        self.named += 1;
        if let Some(table) = &mut self.table {
            table.add(mismatch)?;
        }
        match &mut self.json {
            Some(json) => json.line(&format!("{comma}{}", to_json(mismatch)))?,
            None => say(&in_words(mismatch)),
        }
        Ok(())
    }

    /// Takes an action that matched.
    pub(super) fn matched(&mut self, at: Timestamp, action: &str) {
        if let Some(table) = &mut self.table {
            table.matched(at, action);
        }
    }

    /// Prints what is not settled and what was counted, after the table is written.
    pub(super) fn finish(
        mut self,
        unsettled: &[Unsettled],
        counts: Counts,
    ) -> anyhow::Result<ExitCode> {
        if let Some(table) = self.table.take() {
            table.finish()?;
        }
        let Counts {
            matched,
            never_approved,
            other_parameters,
            twice,
            never_executed,
            not_compared,
        } = counts;
        let (ignored, unreadable) = (self.ignored, self.unreadable);
        let mismatches = never_approved + other_parameters + twice + never_executed;
        let is_over = |it: &&Unsettled| matches!(it, Unsettled::BeganBefore(_));
        let began_before = unsettled.iter().filter(is_over).count();
        let not_over = unsettled.len() - began_before;
        if let Some(mut json) = self.json {
            let counts = json!({
                "matched": matched, "neverApproved": never_approved, "otherParameters": other_parameters,
                "executedTwice": twice, "neverExecuted": never_executed, "beganBefore": began_before,
                "notOver": not_over, "ignored": ignored, "notCompared": not_compared, "unreadableRows": unreadable,
            });
            let unsettled: Value = unsettled.iter().map(unsettled_json).collect();
            json.line(&format!(
                "], \"unsettled\": {unsettled}, \"counts\": {counts}}}"
            ))?;
            json.print()?;
        } else {
            unsettled.iter().for_each(|it| say(&unsettled_words(it)));
            if not_compared > 0 {
                let most = Coverage::MOST_WAITING;
                say(&format!(
                    "{not_compared} actions count as never approved without a search for an approval of other parameters: \
                     more than {most} without an approval came in the time of approvals that overlap"
                ));
            }
            if never_approved > 0 && unreadable > 0 {
                say(
                    "an action that was never approved may have its approval in a row that cannot be trusted: `verify` names \
                     these rows",
                );
            }
            say(&format!(
                "{matched} matched, {never_approved} executed and never approved, {other_parameters} executed with other \
                 parameters, {twice} executed twice, {never_executed} approved and never executed; {ignored} lines left out, \
                 {unreadable} rows that cannot be trusted"
            ));
        }
        Ok(ExitCode::from(u8::from(mismatches + unreadable > 0)))
    }
}

fn unsettled_words(unsettled: &Unsettled) -> String {
    match unsettled {
        Unsettled::BeganBefore(claimed) => format!(
            "approved, perhaps executed before these lines: approval {}",
            claimed.id
        ),
        Unsettled::NotOver(claimed) => format!(
            "approved, not executed yet: approval {}, until {}",
            claimed.id, claimed.until
        ),
    }
}

fn unsettled_json(unsettled: &Unsettled) -> Value {
    let (kind, claimed) = match unsettled {
        Unsettled::BeganBefore(claimed) => ("beganBefore", claimed),
        Unsettled::NotOver(claimed) => ("notOver", claimed),
    };
    json!({"kind": kind, "approval": claimed.id})
}

fn in_words(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::NeverApproved(performed) => {
            format!("executed, never approved: {}", place(performed))
        }
        Mismatch::OtherParameters {
            performed,
            approval,
        } => {
            let place = place(performed);
            format!("executed with other parameters: {place}; perhaps by approval {approval}")
        }
        Mismatch::Twice {
            performed,
            approval,
            first,
        } => {
            let place = place(performed);
            format!("executed twice: {place}; approval {approval} covers line {first}")
        }
        Mismatch::NeverExecuted(claimed) => {
            format!("approved, never executed: approval {}", claimed.id)
        }
    }
}

fn place(performed: &Performed) -> String {
    let action = reveal::line(&performed.action, NAME_CHARS);
    let name = performed.name.as_deref();
    let name = name.map_or(String::new(), |it| {
        format!(" ({})", reveal::line(it, NAME_CHARS))
    });
    let (number, at) = (performed.number, performed.at);
    format!("line {number}{name}, {action}, at {at}")
}

fn to_json(mismatch: &Mismatch) -> Value {
    let of = |kind: &str, performed: &Performed| {
        json!({
            "kind": kind, "line": performed.number, "id": performed.name, "action": performed.action,
            "at": performed.at.to_string(),
        })
    };
    match mismatch {
        Mismatch::NeverApproved(performed) => of("neverApproved", performed),
        Mismatch::OtherParameters {
            performed,
            approval,
        } => with(
            of("otherParameters", performed),
            "approval",
            json!(approval),
        ),
        Mismatch::Twice {
            performed,
            approval,
            first,
        } => {
            let found = with(of("executedTwice", performed), "approval", json!(approval));
            with(found, "firstLine", json!(first))
        }
        Mismatch::NeverExecuted(claimed) => {
            json!({"kind": "neverExecuted", "approval": claimed.id})
        }
    }
}

fn with(mut found: Value, name: &str, value: Value) -> Value {
    found[name] = value;
    found
}
