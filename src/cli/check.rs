//! `human-oversight check`: tries the settings and what they name, without harm to a gate that runs; and
//! `check --upgrade`: says what changes for a gate with these settings.

mod keys;
mod outside;
mod settings;
mod store;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use human_oversight::app::{Finding, Grade};
use human_oversight::config::{Config, ConfigErrors, StoreSettings, upgrade_items};
use human_oversight::keys::KeyKind;
use human_oversight::values::Address;
use serde_json::{Value, json};

use super::environment;
use super::maintenance::named_keys;
use super::output::show;
use super::value_parsers;
use settings::Settings;

/// Try the settings and what they name, one line each
///
/// It works beside a gate that runs. It reads and writes every table, without changing a row of the gate, compares the
/// clock with that of the store, and calls the gate at HO_BASE_URL. The exit code is 2 if something failed; 1 if there
/// are warnings; or else 0.
#[derive(Args)]
pub(crate) struct Options {
    /// Only say which settings need a change when this version replaces an earlier one: exit code 1 if one does
    #[arg(long, conflicts_with_all = ["mail_to", "channels", "json"])]
    upgrade: bool,
    /// Only print the settings that are set, without secrets; the others have their defaults
    #[arg(long, conflicts_with_all = ["upgrade", "mail_to", "channels", "json"])]
    settings: bool,
    /// Send a test email to this address
    #[arg(long, value_name = "ADDRESS", value_parser = value_parsers::address)]
    mail_to: Option<Address>,
    /// Send a test event to each channel of the policy
    #[arg(long)]
    channels: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A finding, with the name of what was checked.
type Named = (&'static str, Finding);

pub(crate) async fn run(options: Options) -> ExitCode {
    if options.upgrade {
        return say_what_changes();
    }
    if options.settings {
        print_settings();
        return ExitCode::SUCCESS;
    }
    print(&options, &check(&options).await)
}

/// Prints the settings that are set, but no secret, also where another setting has it by mistake.
fn print_settings() {
    let settings = Settings::read(environment::value);
    for (name, value) in settings
        .known()
        .in_force(environment::names(), environment::value)
    {
        let shown = match value.as_deref().map(str::trim) {
            None => "(not shown)",
            Some(_) if settings.cannot_use(&name) => "(not shown, because it cannot be used)",
            Some(value) if may_have_secret(value) => "(not shown, because it may have a secret)",
            Some(value) => value,
        };
        show(&format!("{name}={shown}"));
    }
}

/// Whether a value is an address with a user or a query, or a connection string.
fn may_have_secret(value: &str) -> bool {
    let mut after_schemes = value.split("://").skip(1);
    let lower = value.to_ascii_lowercase();
    after_schemes.any(|rest| rest.contains(['@', '?']))
        || ["key=", "sig="].iter().any(|name| lower.contains(name))
}

/// Says which settings cannot be read, and checks nothing else.
pub(crate) fn refuse(options: &Options, errors: &ConfigErrors) -> ExitCode {
    if options.upgrade || options.settings {
        for error in errors.iter() {
            eprintln!("human-oversight check: {error}");
        }
        return ExitCode::from(2);
    }
    let failed = errors.iter().map(|it| Finding::failed(it.to_string()));
    let findings: Vec<Named> = failed.map(|finding| ("settings", finding)).collect();
    print(options, &findings)
}

/// Prints the findings. The exit code says which is the worst.
fn print(options: &Options, findings: &[Named]) -> ExitCode {
    let grade = Grade::worst(findings.iter().map(|(_, finding)| finding));
    if options.json {
        let checks = findings.iter().map(|(name, finding)| {
            json!({"name": name, "status": finding.grade.word(), "detail": finding.detail})
        });
        let checks: Value = checks.collect();
        show(&format!(
            "{:#}",
            json!({"status": grade.word(), "checks": checks})
        ));
    } else {
        for (name, Finding { grade, detail }) in findings {
            show(&format!("{:<8} {name:<9} {detail}", grade.word()));
        }
    }
    ExitCode::from(match grade {
        Grade::Ok => 0,
        Grade::Warning => 1,
        Grade::Failed => 2,
    })
}

async fn check(options: &Options) -> Vec<Named> {
    let settings = Settings::read(environment::value);
    let mut found: Vec<Named> = Vec::new();
    let mut add = |name: &'static str, findings: Vec<Finding>| {
        found.extend(findings.into_iter().map(|finding| (name, finding)));
    };
    add("settings", settings.check(environment::value));
    let mut sign_in = vec![settings.check_sign_in()];
    if settings.is_deployed {
        sign_in.extend(outside::check_platform_sign_in(&settings.config).await);
    }
    add("sign-in", sign_in);
    add("policy", settings.check_policy());
    let (mut receipt_kid, mut off) = (None, Ok(BTreeMap::new()));
    let mut mail = Vec::new();
    let skipped = "not checked, because its settings cannot be used";
    let known = |name: &str| environment::value(name).filter(|value| settings.is_value(value));
    let fault = settings.fault(&["HO_STORE", "HO_TABLE", "HO_TABLES_"], skipped);
    match (fault, StoreSettings::read(known)) {
        (Some(fault), _) => add("tables", vec![fault]),
        (None, Ok(tables)) => {
            let keys = named_keys(&tables, KeyKind::Receipt);
            receipt_kid = keys.ok().flatten().map(|keys| keys[0].kid.clone());
            match store::check(&settings.config, &tables).await {
                Ok(it) => {
                    add("tables", it.tables);
                    add("pauses", it.pauses);
                    add("clock", vec![it.clock]);
                    add("keys", it.keys);
                    add("sweep", vec![it.sweep]);
                    mail.extend(it.mail);
                    off = it.off;
                }
                Err(error) => add("tables", vec![Finding::failed(format!("{error:#}"))]),
            }
        }
        (None, Err(_)) => add("tables", vec![Finding::failed(skipped)]),
    }
    let transport = [
        "HO_MAIL",
        "HO_MAIL_FROM",
        "HO_SMTP_",
        "HO_ACS_",
        "HO_GRAPH_",
    ];
    mail.push(match settings.fault(&transport, skipped) {
        Some(fault) => fault,
        None => outside::check_mail(&settings.config, options.mail_to.as_ref()).await,
    });
    add("mail", mail);
    let mut channels = settings.check_channels(options.channels);
    channels.extend(outside::check_channels(&settings.config, &off, options.channels).await);
    add("channels", channels);
    let address = match settings.fault(&["HO_BASE_URL"], skipped) {
        Some(fault) => fault,
        None => outside::check_address(&settings.config, receipt_kid.as_deref()).await,
    };
    add("address", vec![address]);
    found
}

/// Prints each change that affects the gate, and what to set; then the settings that cannot be used. The exit
/// code is 2 if there is one of these, or else 1 if something changes.
fn say_what_changes() -> ExitCode {
    let items = upgrade_items(environment::value);
    for item in &items {
        show(&format!(
            "{}: {}\n  {}",
            item.setting, item.change, item.remedy
        ));
    }
    let mut errors = Config::unusable_settings(environment::value);
    // A change explains them.
    errors.retain(|error| !items.iter().any(|item| item.setting == error.name()));
    for error in &errors {
        eprintln!("human-oversight check: {error}");
    }
    match (errors.is_empty(), items.is_empty()) {
        (false, _) => ExitCode::from(2),
        (true, false) => ExitCode::FAILURE,
        (true, true) => {
            show("These settings need no change. What else has changed is in docs/upgrading.md.");
            ExitCode::SUCCESS
        }
    }
}
