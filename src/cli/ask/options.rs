//! The options of `ask`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use human_oversight_client::{Action, Gate};

use super::super::value_parsers::timeout;

/// Run a command only after a person has approved exactly this command line
#[derive(Args)]
#[command(after_help = "\
HO_URL is the address of the gate, HO_KEY its function key if it requires one. HO_KEYS pins its receipt
keys (a JWK set's file, or thumbprints), HO_ISSUER its public address.

The exit code is the command's own; 3 if the command did not run because it was not approved; 126 if it
was approved and could not be started; 2 if no request was submitted.")]
pub(crate) struct Options {
    /// The name of the agent
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    agent: String,
    /// What the command does, in words for people
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    action: String,
    /// An approver; repeat for more (else APPROVER_EMAILS, or the people whom the gate's policy names)
    #[arg(long = "approver", value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    approvers: Vec<String>,
    /// The time for the decision, 10 to 2592000 (else the default of the gate)
    #[arg(long, value_name = "SECONDS", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Why the command should run, shown to the approvers as not verified
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    reason: Option<String>,
    /// The person for whom the command runs, who is never an approver
    #[arg(long, value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    on_behalf_of: Option<String>,
    /// The id of an earlier request of the agent, to which the approver asked for changes: its page shows what changed
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    supersedes: Option<String>,
    /// Another file that the command uses and that must not change; repeat for more
    #[arg(long = "file", value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

impl Options {
    /// The request's action, at the gate that the environment names.
    pub(crate) fn action(&self) -> anyhow::Result<Action> {
        let mut gate = Gate::from_env()?.agent(&self.agent);
        if !self.approvers.is_empty() {
            gate = gate.approvers(&self.approvers);
        }
        let mut action = gate.action(&self.action);
        if let Some(timeout) = self.timeout {
            action = action.timeout(timeout);
        }
        if let Some(reason) = &self.reason {
            action = action.reason(reason);
        }
        if let Some(person) = &self.on_behalf_of {
            action = action.on_behalf_of(person);
        }
        if let Some(id) = &self.supersedes {
            action = action.supersedes(id);
        }
        Ok(action)
    }
}
