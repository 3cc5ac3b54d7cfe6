//! Requests with the outcomes that a policy is expected to have for them.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use human_oversight::policy::Policy;
use human_oversight_protocol::strict_json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::request::{Request, Settings};
use crate::cli::output::show;
use crate::cli::text;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// What it shows.
    name: String,
    request: Value,
    /// `approve`, `deny`, `require`, `requester`, or `refused`.
    outcome: String,
    /// The rules that decide, in any order.
    rules: Option<Vec<String>>,
    /// The asks of each stage, such as `[["2 finance"], ["1 security"]]`.
    stages: Option<Vec<Vec<String>>>,
}

/// Prints each example whose outcome is another one.
pub(super) fn run(
    policy: &Policy,
    settings: &Settings,
    file: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let bytes = text::read(file)?;
    let no_list = || format!("{} is no list of examples", file.display());
    let list = strict_json::parse(&bytes).with_context(no_list)?;
    let examples: Vec<Example> = serde_json::from_value(list).with_context(no_list)?;
    let count = examples.len();
    let mut faults = Vec::new();
    for example in examples {
        let name = example.name.clone();
        let found = example
            .differences(policy, settings)
            .with_context(|| format!("example “{name}” cannot be used"))?;
        faults.extend(found.into_iter().map(|what| (name.clone(), what)));
    }
    if json {
        let faults = faults
            .iter()
            .map(|(name, what)| json!({"example": name, "difference": what}));
        let result = json!({"examples": count, "differences": faults.collect::<Vec<_>>()});
        show(&format!("{result:#}"));
    } else {
        faults
            .iter()
            .for_each(|(name, what)| show(&format!("{name}: {what}")));
        show(&format!("{count} examples, {} differences.", faults.len()));
    }
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Example {
    /// In what the outcome differs from the expected one.
    fn differences(self, policy: &Policy, settings: &Settings) -> anyhow::Result<Vec<String>> {
        let outcome = Outcome::new(policy, &Request::parse(self.request, settings)?);
        let word = match outcome.refusal {
            Some(_) => "refused",
            None => outcome.word(),
        };
        let mut rules: Vec<String> = outcome
            .rules()
            .iter()
            .map(|it| it.rule.to_string())
            .collect();
        rules.sort();
        let expected_rules = self.rules.map(|mut rules| {
            rules.sort();
            rules
        });
        let stages = outcome.stages();
        let differences = [
            difference("the outcome", Some(self.outcome.as_str()), word),
            difference("the rules", expected_rules.as_ref(), &rules),
            difference("the stages", self.stages.as_ref(), &stages),
        ];
        Ok(differences.into_iter().flatten().collect())
    }
}

fn difference<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    expected: Option<&T>,
    found: &T,
) -> Option<String> {
    let expected = expected.filter(|expected| *expected != found)?;
    Some(format!("{what} should be {expected:?}, and is {found:?}"))
}
