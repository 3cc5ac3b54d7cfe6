//! `human-oversight policy`: checks a policy, and says what it would do with a request, or with all that were stored.

mod examples;
mod outcome;
mod rehearse;
mod request;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use human_oversight::config::Config;
use human_oversight::policy::{Fault, Policy, Surroundings};
use human_oversight::values::{AllowList, Timestamp};
use serde_json::{Value, json};

use super::environment;
use super::output::show;
use super::value_parsers;
use outcome::Outcome;
use request::{DEFAULT_TIME, Request, Settings};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check a policy file
    ///
    /// The exit code is 2 if the gate would not start with the policy; with --strict, 1 if there are warnings; or
    /// else 0.
    Check {
        #[command(flatten)]
        file: PolicyFile,
        /// Exit with 1 if there are warnings
        #[arg(long)]
        strict: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what a policy would do with a request, and why
    ///
    /// The exit code is 2 if the policy or the request cannot be used; 1 if the gate would refuse the request,
    /// or an example has another outcome than expected; or else 0.
    Test {
        #[command(flatten)]
        file: PolicyFile,
        /// The request: a file with the body of a submit, in JSON
        #[arg(long, value_name = "FILE", required_unless_present = "examples")]
        request: Option<PathBuf>,
        /// A file with a list of requests and their expected outcomes, in JSON
        #[arg(long, value_name = "FILE", conflicts_with = "request")]
        examples: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what a policy would have done with the stored requests, and which decisions of people it contradicts
    ///
    /// It reads the store of the gate's settings, or a backup. The exit code is 2 if the policy or the requests
    /// cannot be read; 1 if it contradicts a decision, or a row cannot be trusted; or else 0.
    Rehearse {
        #[command(flatten)]
        file: PolicyFile,
        /// Only requests that were submitted since then: 2026-11-01, or a time as in 2026-11-01T08:00:00Z
        #[arg(long, value_name = "DATE", value_parser = value_parsers::date)]
        since: Option<Timestamp>,
        /// Read this file, which `backup` wrote, instead of the store
        #[arg(long, value_name = "FILE")]
        backup: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(crate) struct PolicyFile {
    /// The policy, a TOML file
    file: PathBuf,
    /// Also check it, and the requests of a test, against the gate's settings in the environment (HO_ALLOWED_APPROVERS,
    /// HO_IDENTITY, HO_REQUIRE_ENTRA_FOR, HO_AGENT_KEYS, HO_DEFAULT_TIMEOUT), as those of a gate behind the Functions
    /// host, or with HO_LOCAL=1 of local development
    #[arg(long)]
    settings: bool,
}

impl Command {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Check { .. } => "check the policy",
            Self::Test { .. } => "test the policy",
            Self::Rehearse { .. } => "rehearse the policy",
        }
    }
}

/// # Errors
/// When a file or the store cannot be read.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { file, strict, json } => check(&file, strict, json),
        Command::Test {
            file,
            request,
            examples,
            json,
        } => {
            let Some(policy) = file.load_or_print()? else {
                return Ok(ExitCode::from(2));
            };
            let settings = file.settings()?;
            match (request, examples) {
                (Some(request), _) => test(&policy, &settings, &request, json),
                (None, Some(examples)) => examples::run(&policy, &settings, &examples, json),
                (None, None) => unreachable!("one of both is required"),
            }
        }
        Command::Rehearse {
            file,
            since,
            backup,
            json,
        } => {
            let Some(policy) = file.load_or_print()? else {
                return Ok(ExitCode::from(2));
            };
            rehearse::run(&policy, since, backup.as_deref(), json).await
        }
    }
}

impl PolicyFile {
    /// The policy; prints its faults if it has any.
    fn load_or_print(&self) -> anyhow::Result<Option<Policy>> {
        let loaded = self.load()?;
        Ok(loaded
            .map_err(|faults| print_faults(&self.file, &faults))
            .ok())
    }

    fn load(&self) -> anyhow::Result<Result<Policy, Vec<Fault>>> {
        let text = read(&self.file)?;
        Ok(Policy::parse(&text, &self.settings()?.surroundings))
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        if self.settings {
            return Ok(Settings {
                surroundings: Config::read_surroundings(environment::value)?,
                default_time: Config::read_default_timeout(environment::value)?,
            });
        }
        Ok(Settings {
            // Whatever the gate may have.
            surroundings: Surroundings {
                allowed: AllowList::Anyone,
                sign_in_configured: true,
                names_bound: true,
                development: false,
            },
            default_time: DEFAULT_TIME,
        })
    }
}

fn check(file: &PolicyFile, strict: bool, json: bool) -> anyhow::Result<ExitCode> {
    let loaded = file.load()?;
    let warnings = loaded.as_ref().map(Policy::warnings).unwrap_or_default();
    if json {
        show(&format!("{:#}", result_of_check(&loaded, &warnings)));
    } else {
        match &loaded {
            Ok(policy) => show(&summary(policy)),
            Err(faults) => print_faults(&file.file, faults),
        }
        for warning in &warnings {
            show(&format!(
                "{}:{}: warning: {}",
                file.file.display(),
                warning.line,
                warning.message
            ));
        }
    }
    Ok(match loaded {
        Err(_) => ExitCode::from(2),
        Ok(_) if strict && !warnings.is_empty() => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
    })
}

fn summary(policy: &Policy) -> String {
    let needs = match (policy.needs_sign_in(), policy.needs_bound_names()) {
        (false, false) => "",
        (true, false) => " It takes sign-in (HO_IDENTITY or HO_REQUIRE_ENTRA_FOR).",
        (false, true) => " It takes bound names (HO_AGENT_KEYS).",
        (true, true) => {
            " It takes sign-in (HO_IDENTITY or HO_REQUIRE_ENTRA_FOR) and bound names (HO_AGENT_KEYS)."
        }
    };
    let (rules, digest) = (policy.rules(), policy.digest());
    format!("The policy has no fault: {rules} rules, digest {digest}.{needs}")
}

fn result_of_check(loaded: &Result<Policy, Vec<Fault>>, warnings: &[Fault]) -> Value {
    let list = |faults: &[Fault]| -> Value {
        let faults = faults.iter();
        faults
            .map(|fault| json!({"line": fault.line, "message": fault.message}))
            .collect()
    };
    match loaded {
        Ok(policy) => json!({
            "digest": policy.digest().to_string(),
            "version": Policy::VERSION,
            "rules": policy.rules(),
            "needsSignIn": policy.needs_sign_in(),
            "needsBoundNames": policy.needs_bound_names(),
            "faults": [],
            "warnings": list(warnings),
        }),
        Err(faults) => json!({"faults": list(faults), "warnings": []}),
    }
}

fn test(
    policy: &Policy,
    settings: &Settings,
    request: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let request = Request::read(request, settings)?;
    let outcome = Outcome::explained(policy, &request);
    show(&if json {
        format!("{:#}", outcome.json())
    } else {
        outcome.text()
    });
    Ok(match outcome.refusal {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

fn print_faults(file: &Path, faults: &[Fault]) {
    for fault in faults {
        eprintln!("{}:{}: {}", file.display(), fault.line, fault.message);
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}
