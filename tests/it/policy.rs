//! The policy language, as the gate and the tools use it.

mod effects;
mod loading;
mod matching;
mod others;
mod plans;
mod properties;
mod rehearsal;
mod symbols;
mod texts;
mod tools;

use human_oversight::policy::{Asked, Effect, Member, Policy, Requirement, Surroundings};
use human_oversight::values::{Address, AllowList};
use serde_json::Value;

/// The groups of most tests.
const GROUPS: &str = r#"
version = 1
[groups]
finance = ["maria@example.com", "lena@example.com", "omar@example.com"]
security = ["sec@example.com"]
"#;

fn surroundings() -> Surroundings {
    Surroundings {
        allowed: AllowList::Anyone,
        sign_in_configured: true,
        names_bound: true,
        development: false,
    }
}

fn parse(text: &str) -> Policy {
    match Policy::parse(text, &surroundings()) {
        Ok(policy) => policy,
        Err(faults) => panic!("{faults:#?}\n{text}"),
    }
}

/// A policy with the usual groups, and these rules.
fn rules(rules: &str) -> Policy {
    parse(&format!("{GROUPS}{rules}"))
}

/// The faults of a text, one `LINE: MESSAGE` each.
fn faults(text: &str) -> Vec<String> {
    faults_in(text, &surroundings())
}

fn faults_in(text: &str, surroundings: &Surroundings) -> Vec<String> {
    match Policy::parse(text, surroundings) {
        Ok(_) => Vec::new(),
        Err(faults) => {
            let lines = faults
                .iter()
                .map(|it| format!("{}: {}", it.line, it.message));
            lines.collect()
        }
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn asked<'a>(action: &'a str, parameters: &'a Value) -> Asked<'a> {
    Asked {
        agent: "Agent",
        action,
        parameters,
        on_behalf_of: None,
        requested: &[],
    }
}

/// The effect in one line: its name, and the rules that have it.
fn short(effect: &Effect) -> String {
    let list = |rules: Vec<&str>| rules.join(" ");
    match effect {
        Effect::Requester { .. } => "requester".to_owned(),
        Effect::Approve { candidates, .. } => {
            let ids = candidates.iter().map(|it| it.rule.rule.as_str());
            format!("approve {}", list(ids.collect()))
        }
        Effect::Deny { rules, .. } => {
            format!(
                "deny {}",
                list(rules.iter().map(|it| it.rule.as_str()).collect())
            )
        }
        Effect::Require(it) => {
            format!(
                "require {}",
                list(it.rules.iter().map(|it| it.rule.as_str()).collect())
            )
        }
    }
}

fn requirement(effect: Effect) -> Requirement {
    match effect {
        Effect::Require(requirement) => requirement,
        other => panic!("{other:?}"),
    }
}

/// The stages of a requirement: `2 finance + 1 security > 1 requested`.
fn stages(requirement: &Requirement) -> String {
    let ask = |ask: &human_oversight::policy::Ask| {
        let from = ask.from.to_string();
        let from = from.strip_prefix("group ").unwrap_or("requested");
        format!("{} {from}", ask.needed)
    };
    let stage = |asks: &Vec<_>| asks.iter().map(ask).collect::<Vec<_>>().join(" + ");
    requirement
        .stages
        .iter()
        .map(stage)
        .collect::<Vec<_>>()
        .join(" > ")
}

fn people(members: &[Member]) -> Vec<&str> {
    members
        .iter()
        .map(|member| member.address.as_str())
        .collect()
}
