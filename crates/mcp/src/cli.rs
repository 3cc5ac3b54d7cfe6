//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::line::is_line;
use crate::span;

const ENVIRONMENT: &str = "\
Environment variables:
  HO_CLAIM_KEY     The key of claim secrets, which `keygen` prints; keep it (required)
  HO_URL           The address of the gate (required)
  HO_KEY           The function key of the gate, if its host demands one
  APPROVER_EMAILS  The approvers, separated by commas, where the gate's policy names none
  HO_KEYS, HO_ISSUER, HO_AUDIENCE  As of every client of the gate

The file and the entries of clients: docs/mcp.md in the repository.";

/// Run a tool server of the Model Context Protocol whose tools a person must approve
#[derive(Debug, Parser)]
#[command(
    name = "human-oversight-mcp",
    version,
    after_help = ENVIRONMENT,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The file of settings
    #[arg(long, value_name = "FILE", default_value = "human-oversight-mcp.toml")]
    pub(crate) config: PathBuf,
    /// The time after which a held call is answered, so that the client does not give up: 1s to 1d
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = answer_within)]
    pub(crate) answer_within: Duration,
    /// The server's name for people and patterns [default: the file name of COMMAND without its last ending]
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    server: Option<String>,
    /// The tool server, which speaks on its standard input and output, with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) server_command: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a fresh key as HO_CLAIM_KEY
    Keygen,
}

impl Arguments {
    /// Whether the server's name is only that of a program, which may run other servers too.
    pub(crate) fn names_no_server(&self) -> bool {
        self.server.is_none()
    }

    /// The server's name.
    pub(crate) fn server_name(&self) -> String {
        let file_name = || {
            let program = self.server_command.first().map(Path::new);
            let stem = program.and_then(Path::file_stem).unwrap_or_default();
            stem.to_string_lossy().into_owned()
        };
        self.server.clone().unwrap_or_else(file_name)
    }
}

fn server_name(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("must not be blank"),
        _ if text.chars().count() > 128 || !is_line(text) => {
            Err("must have at most 128 characters, and none that controls or turns a line")
        }
        _ => Ok(text.to_owned()),
    }
}

fn answer_within(text: &str) -> Result<Duration, String> {
    let time = span::parse(text).map_err(|error| error.to_string())?;
    if !(1..=86_400).contains(&time.as_secs()) {
        return Err("must be from 1s to 1d".to_owned());
    }
    Ok(time)
}
