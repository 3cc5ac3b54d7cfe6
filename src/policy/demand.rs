//! Reads what a `require` rule demands.

use std::num::NonZeroU8;
use std::time::Duration;

use super::groups::Groups;
use super::matched::MAX_NAME;
use super::people::Member;
use super::read_values::read_pointers;
use super::reader::{DAY, MINUTE, Members, Node, SECOND};
use super::requirement::{
    Ask, CommentRule, Escalate, MAX_STAGES, MAX_TIME, MAX_VOTES, Reask, Requirement, Source,
};
use super::surroundings::Surroundings;

/// The most parameters that are shown first, the most offered reasons, and the most characters of one.
const MAX_SUMMARY: usize = 10;
const MAX_REASONS: usize = 10;
const REASON_CHARS: usize = 100;

/// The longest time for which a rule may allow standing grants.
pub const MAX_GRANT: Duration = Duration::from_secs(7 * 86_400);

pub(super) fn read_demand(
    table: &mut Members<'_>,
    groups: &Groups,
    surroundings: &Surroundings,
) -> Requirement {
    let rejections = table
        .take("rejections")
        .and_then(|node| node.count(MAX_VOTES));
    let sign_in = table.take("sign_in").and_then(|node| {
        let sign_in = node.boolean()?;
        if sign_in && !surroundings.sign_in_configured {
            node.fault("takes sign-in, which is not set up (HO_IDENTITY or HO_REQUIRE_ENTRA_FOR)");
        }
        Some(sign_in)
    });
    let comment = table
        .take("comment")
        .and_then(|node| node.word(&CommentRule::ALL.map(|it| (it.word(), it))));
    let reask = table.take("reask");
    let reask = reask.and_then(|node| node.word(&Reask::ALL.map(|it| (it.word(), it))));
    let on_behalf_of = table.take("on_behalf_of");
    let on_behalf_of = on_behalf_of.and_then(|node| node.word(&[("required", true)]));
    let mut time = |name, least, most| {
        let node = table.take(name)?;
        node.duration(least, most)
    };
    let not_before = time("not_before", SECOND, DAY);
    let timeout = time("timeout", 10 * SECOND, MAX_TIME);
    let run_within = time("run_within", SECOND, MAX_TIME);
    let grants = time("grants", MINUTE, MAX_GRANT);
    let summary = table
        .take("summary")
        .map(|node| read_pointers(&node, MAX_SUMMARY));
    let reject_reasons = table.take("reject_reasons").map(|node| read_reasons(&node));
    let sign_in = sign_in.unwrap_or(false);
    let mut demand = Requirement {
        rules: Vec::new(),
        stages: read_stages(table, groups, sign_in),
        rejections: rejections.unwrap_or(NonZeroU8::MIN),
        sign_in,
        comment: comment.unwrap_or_default(),
        not_before,
        timeout,
        run_within,
        on_behalf_of_required: on_behalf_of.unwrap_or(false),
        summary: summary.unwrap_or_default(),
        reject_reasons: reject_reasons.unwrap_or_default(),
        reask: reask.unwrap_or_default(),
        grants,
        escalate: table
            .take("escalate")
            .and_then(|node| read_escalate(&node, groups)),
    };
    add_requested(table, &mut demand);
    check(table, &demand, groups);
    demand
}

fn read_reasons(node: &Node<'_>) -> Vec<String> {
    let texts = node.texts(1..=REASON_CHARS);
    if texts.len() > MAX_REASONS {
        node.fault(format!("must have at most {MAX_REASONS} items"));
    }
    for (item, text) in &texts {
        if text.trim().is_empty() {
            item.fault("has nothing that shows");
        }
    }
    texts.iter().map(|(_, text)| (*text).to_owned()).collect()
}

fn read_stages(table: &mut Members<'_>, groups: &Groups, sign_in: bool) -> Vec<Vec<Ask>> {
    let stages = table.require("stages").and_then(|node| {
        let stages = node.list()?;
        if stages.len() > MAX_STAGES {
            node.fault(format!("must have at most {MAX_STAGES} stages"));
        }
        Some(stages)
    });
    let read = |stage: Node<'_>| read_ask(&stage, groups, sign_in).map(|ask| vec![ask]);
    stages
        .unwrap_or_default()
        .into_iter()
        .filter_map(read)
        .collect()
}

fn read_ask(stage: &Node<'_>, groups: &Groups, sign_in: bool) -> Option<Ask> {
    let mut table = stage.table()?;
    let from = table.require("from");
    let needed = match table.take("approvals") {
        Some(node) => node.count(MAX_VOTES),
        None => Some(NonZeroU8::MIN),
    };
    table.finish();
    let (from, needed) = (from?, needed?);
    let name = from.text(MAX_NAME)?;
    if name == Source::REQUESTED {
        if needed > NonZeroU8::MIN && !sign_in {
            from.fault(
                "asks those whom the agent names for several approvals, which takes `sign_in = true`: one \
                 person can have two addresses",
            );
        }
        return Some(Ask {
            from: Source::Requested,
            members: Vec::new(),
            needed,
        });
    }
    Some(Ask {
        from: Source::Group(name.to_owned()),
        members: members_of(&from, name, groups)?,
        needed,
    })
}

/// The members of a group that a plan can ask.
fn members_of(node: &Node<'_>, name: &str, groups: &Groups) -> Option<Vec<Member>> {
    let Some(group) = groups.get(name) else {
        node.fault(format!(
            "is no group: there is no `{}` in [groups]",
            crate::reveal::line(name, MAX_NAME)
        ));
        return None;
    };
    if !group.fits() {
        node.fault("is a group of more than 20 people, which a plan cannot ask");
        return None;
    }
    Some(group.members.clone())
}

/// Reads who is asked too when a stage stays open.
pub(super) fn read_escalate(node: &Node<'_>, groups: &Groups) -> Option<Escalate> {
    let mut table = node.table()?;
    let after = table.require("after").and_then(|node| node.percent(1..=99));
    let to = table.require("to").and_then(|node| {
        let name = node.text(MAX_NAME)?;
        Some((name.to_owned(), members_of(&node, name, groups)?))
    });
    table.finish();
    let (after_percent, (name, to)) = (after?, to?);
    Some(Escalate {
        after_percent,
        from: vec![name],
        to,
    })
}

fn add_requested(table: &mut Members<'_>, demand: &mut Requirement) {
    let Some(node) = table.take("add_requested") else {
        return;
    };
    if node.boolean() != Some(true) {
        return;
    }
    if !demand.sign_in {
        node.fault("takes `sign_in = true`: one person can have two addresses");
    }
    demand.add_requested();
}

/// Checks that the demand can be a plan with any approvers of the agent. Groups with a fault are not complete.
fn check(table: &Members<'_>, demand: &Requirement, groups: &Groups) {
    let is_whole = |ask: &Ask| match &ask.from {
        Source::Group(name) => groups.get(name).is_some_and(|group| !group.is_partial),
        Source::Requested => true,
    };
    let asks = || demand.stages.iter().flatten();
    if demand.stages.is_empty() || !asks().all(is_whole) {
        return;
    }
    if let Err(fault) = demand.check_alone(demand.timeout.unwrap_or(MAX_TIME)) {
        table.fault(format!("can never be met: {fault}"));
    }
    if demand.grants.is_some() && !demand.takes_one_approval() {
        table.fault("has `grants`, which takes one stage that needs one approval");
    }
    if demand.escalate.is_some() && demand.escalated().is_empty() {
        table.fault("escalates to people who are all asked anyway");
    }
    let members = asks().map(|ask| ask.members.len()).sum();
    if !demand.asks_requested() && usize::from(demand.rejections.get()) > members {
        table.fault("asks fewer people than its `rejections`");
    }
}
