//! Requests under a policy: two approvals of finance, then one of security, by different people through different
//! processes; with a lead who is asked by escalation, an absent person who has a substitute, and hand-overs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::process::Scene;
use super::quorum::{ASKED, CLOSED, ESCALATED, ONCE, QUORUM};
use super::{
    Service, Settings, WITHIN, cases, record, record_sums, run_all, run_with, seeds, sums,
};

/// The time until a request expires: enough for what a crash leaves to be sent again.
const LIFE: u64 = 5 * WITHIN.as_secs();

const FINANCE: &str = r#"["alice@example.com", "bob@example.com", "dave@example.com"]"#;

const STAGES: &str = r#"[{ from = "finance", approvals = 2 }, { from = "security" }]"#;

/// A policy with this group and these stages. One rejection ends a small payment, and two a large one.
fn policy(finance: &str, stages: &str) -> String {
    format!(
        r#"
version = 1
[groups]
finance = {finance}
security = ["carol@example.com", "dave@example.com", "erin@example.com"]
leads = ["lead@example.com"]
[[absence]]
person = "bob@example.com"
from = 2026-11-01
until = 2026-12-01
substitute = "substitute@example.com"
[[rule]]
id = "small"
when = [{{ parameter = "/amount", at_most = 1000 }}]
effect = "require"
stages = {stages}
escalate = {{ after = "10%", to = "leads" }}
[[rule]]
id = "large"
when = [{{ parameter = "/amount", more_than = 1000 }}]
effect = "require"
stages = {stages}
escalate = {{ after = "10%", to = "leads" }}
rejections = 2
"#
    )
}

fn settings(dir: &Path, policy: &str) -> Settings {
    Settings::with_policy(dir, LIFE, Scene::Votes, Some(policy))
}

#[test]
fn votes_stay_true_under_every_fault() {
    let seeds = seeds(cases(60, 5_000));
    let policy = policy(FINANCE, STAGES);
    let results = run_all(&seeds, |dir| settings(dir, &policy));
    let sums = sums(&seeds, &results);
    record_sums("simulation-votes", &sums);
    if seeds.len() > 1 {
        // A process rarely dies between a vote and its emails; `two_gates` kills one there.
        let rare = (seeds.len() >= 1_000).then_some("emails by the sweep");
        let names = [
            "Executed",
            "Rejected",
            "Timeout",
            "second stages",
            "crashes after the answer",
            "hand-overs",
            "escalations",
            "votes of receivers",
            "votes of leads",
            "votes of substitutes",
        ];
        for name in names.into_iter().chain(rare) {
            assert!(
                sums.get(name).is_some_and(|sum| *sum > 0),
                "{name}: {sums:?}"
            );
        }
    }
}

/// What a gate does wrong, as seen from outside.
struct Bug {
    name: &'static str,
    policy: String,
    change: fn(&Service),
    violates: &'static str,
}

#[test]
fn each_bug_seeded_into_voting_is_found() {
    let with_policy = |name, policy, violates| Bug {
        name,
        policy,
        change: |_| {},
        violates,
    };
    // As the gate would act that took two addresses of a person for two people, and so on.
    let two_addresses = r#"["alice@example.com", "a.work@example.com", "dave@example.com"]"#;
    let finance_alone = r#"[{ from = "finance", approvals = 2 }]"#;
    let security_at_once = r#"
[[rule]]
id = "at-once"
effect = "require"
stages = [{ from = "security" }]
rejections = 2
"#;
    let substitute = r#""substitute@example.com", "dave@example.com"]"#;
    let as_member = FINANCE.replace(r#""dave@example.com"]"#, substitute);
    let substitute_as_member = policy(&as_member, STAGES);
    let escalated_at_once = policy(FINANCE, STAGES).replace("10%", "1%");
    let side_by_side = policy(FINANCE, finance_alone) + security_at_once;
    let bugs = [
        with_policy("double vote", policy(two_addresses, STAGES), ONCE),
        with_policy(
            "clamped quorum",
            policy(FINANCE, r#"[{ from = "finance" }, { from = "security" }]"#),
            ASKED,
        ),
        with_policy("zero needed", policy(FINANCE, finance_alone), QUORUM),
        with_policy("stage skipped", side_by_side, ASKED),
        with_policy(
            "substitute as a vote of their own",
            substitute_as_member,
            ONCE,
        ),
        with_policy("early escalation", escalated_at_once, ESCALATED),
        Bug {
            name: "vote after the end",
            policy: policy(FINANCE, STAGES),
            change: Service::hide_ends,
            violates: CLOSED,
        },
    ];
    for bug in &bugs {
        let found = (0..100).find(|&seed| {
            let dir = tempfile::tempdir().unwrap();
            let settings = settings(dir.path(), &bug.policy);
            let run = || run_with(seed, &settings, bug.change);
            let panic = catch_unwind(AssertUnwindSafe(run)).err();
            let violation = panic.as_ref().and_then(|it| it.downcast_ref::<String>());
            violation.is_some_and(|it| it.contains(bug.violates))
        });
        let seed = found.unwrap_or_else(|| panic!("no seed finds: {}", bug.name));
        eprintln!("{}: seed {seed} violates \"{}\"", bug.name, bug.violates);
    }
    record(
        "simulation-votes-bugs",
        &[("seeded bugs found", bugs.len() as u64)],
    );
}
