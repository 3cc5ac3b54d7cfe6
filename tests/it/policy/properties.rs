//! What holds for any policy and request.

use std::collections::BTreeSet;

use human_oversight::policy::{Asked, Effect, Policy, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{address, surroundings};

const GROUPS: [&str; 4] = [
    "a = [\"a1@example.com\", \"a2@example.com\", \"a3@example.com\"]",
    "b = [\"b1@example.com\", \"b2@example.com\"]",
    "c = [\"c1@example.com\", \"a1@example.com\"]",
    "d = [\"d1@example.com\"]",
];

/// The text of a rule without its id.
fn rule() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(vec![
        "{ parameter = \"/n\", more_than = 50 }",
        "{ parameter = \"/n\", at_most = 50 }",
        "{ parameter = \"/n\", is_not = 7 }",
        "{ parameter = \"/t\", is = \"x\" }",
        "{ parameter = \"/t\", one_of = [\"x\", \"y\"] }",
        "{ parameter = \"/m\", exists = false }",
        "{ parameter = \"/t\", starts_with = \"x\" }",
    ]);
    let when = prop::collection::btree_set(condition, 0..3);
    let actions = prop::sample::select(vec![
        "",
        "actions = [\"Pay *\"]\n",
        "actions = [\"*\", \"x\"]\n",
        "actions = [\"pay a\"]\n",
    ]);
    let ask = (
        prop::sample::select(vec!["a", "b", "c", "d", "requested"]),
        1..3_u8,
    );
    let stages = prop::collection::vec(ask, 1..3);
    let options = prop::collection::btree_set(
        prop::sample::select(vec![
            "timeout = \"2h\"\n",
            "comment = \"always\"\n",
            "comment = \"on-reject\"\n",
            "rejections = 2\n",
            "not_before = \"1m\"\n",
            "run_within = \"5m\"\n",
            "summary = [\"/n\"]\n",
            "reask = \"refuse\"\n",
            "add_requested = true\n",
            "on_behalf_of = \"required\"\n",
        ]),
        0..4,
    );
    let effect = prop_oneof![
        2 => Just("effect = \"deny\"\n".to_owned()),
        1 => Just("effect = \"approve\"\n".to_owned()),
        1 => Just("effect = \"approve\"\nignore = [\"\"]\n".to_owned()),
        1 => Just("effect = \"approve\"\nignore = [\"\"]\nlimit = { times = 1, per = \"1h\" }\n".to_owned()),
        6 => (stages, options).prop_map(|(stages, options)| {
            let stages = stages.iter().map(|(from, needed)| format!("{{ from = \"{from}\", approvals = {needed} }}"));
            let stages = stages.collect::<Vec<_>>().join(", ");
            let options = options.into_iter().collect::<String>().replacen("comment = \"on-reject\"\n", "", 1);
            format!("effect = \"require\"\nsign_in = true\nstages = [{stages}]\n{options}")
        }),
    ];
    (when, actions, effect).prop_map(|(when, actions, effect)| {
        let when = when.into_iter().collect::<Vec<_>>().join(", ");
        let when = if when.is_empty() {
            String::new()
        } else {
            format!("when = [{when}]\n")
        };
        format!("{actions}{when}{effect}")
    })
}

/// Rules that each load alone, and which of the defaults they come with.
fn all_rules() -> impl Strategy<Value = (Vec<String>, bool)> {
    let loads = |rule: &String| load(&[(0, rule.clone())], &GROUPS, false).is_some();
    let rule = rule().prop_filter("the rule loads", loads);
    (prop::collection::vec(rule, 0..7), any::<bool>())
}

fn load(rules: &[(usize, String)], groups: &[&str], denies: bool) -> Option<Policy> {
    let rules = rules
        .iter()
        .map(|(id, rule)| format!("[[rule]]\nid = \"r{id}\"\n{rule}"));
    let default = if denies {
        "[default]\neffect = \"deny\"\n"
    } else {
        ""
    };
    let text = format!(
        "version = 1\n{default}[groups]\n{}\n{}",
        groups.join("\n"),
        rules.collect::<String>()
    );
    Policy::parse(&text, &surroundings()).ok()
}

fn numbered(rules: &[String]) -> Vec<(usize, String)> {
    rules.iter().cloned().enumerate().collect()
}

fn request() -> impl Strategy<Value = (String, Value, Vec<&'static str>)> {
    let action = prop::sample::select(vec!["Pay a", "pay a", "Other", "P\u{430}y a"]);
    let number = prop::sample::select(vec![
        json!(7),
        json!(50),
        json!(51),
        json!("51"),
        json!("5,1"),
        Value::Null,
    ]);
    let text = prop::sample::select(vec![
        json!("x"),
        json!("X"),
        json!("xy"),
        json!("z"),
        json!(1),
    ]);
    let members = (
        prop::option::of(number),
        prop::option::of(text),
        prop::option::of(Just(json!({}))),
    );
    let requested = prop::sample::subsequence(
        vec!["q1@example.com", "q2@example.com", "b1@example.com"],
        0..4,
    );
    (action, members, requested).prop_map(|(action, (n, t, m), requested)| {
        let members = [("n", n), ("t", t), ("m", m)];
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        (
            action.to_owned(),
            Value::Object(members.collect()),
            requested,
        )
    })
}

fn evaluate(policy: &Policy, request: &(String, Value, Vec<&str>)) -> Effect {
    let requested: Vec<_> = request.2.iter().map(|it| address(it)).collect();
    policy.evaluate(&Asked {
        agent: "Agent",
        action: &request.0,
        parameters: &request.1,
        on_behalf_of: None,
        requested: &requested,
    })
}

/// An effect without the order of what is listed in that of the file.
fn unordered(effect: Effect) -> Value {
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    match effect {
        Effect::Requester { .. } => json!("requester"),
        Effect::Approve {
            candidates,
            otherwise,
        } => {
            let candidates = sorted(candidates.iter().map(|it| format!("{it:?}")).collect());
            json!([candidates, unordered(*otherwise)])
        }
        Effect::Deny { rules, .. } => {
            json!(sorted(rules.iter().map(|it| it.rule.to_string()).collect()))
        }
        Effect::Require(mut it) => {
            let rules = sorted(it.rules.iter().map(|rule| format!("{rule:?}")).collect());
            it.rules.clear();
            it.summary.sort();
            it.reject_reasons.sort();
            json!([rules, format!("{it:?}")])
        }
    }
}

/// How strict an effect is, and whether one that may follow from it is as strict.
fn is_at_least_as_strict(tightened: &Effect, before: &Effect) -> bool {
    let rank = |effect: &Effect| match effect {
        Effect::Approve { .. } => 0,
        Effect::Requester { .. } => 1,
        Effect::Require(_) => 2,
        Effect::Deny { .. } => 3,
    };
    match (tightened, before) {
        (
            Effect::Approve {
                candidates,
                otherwise,
            },
            Effect::Approve {
                candidates: others,
                otherwise: other,
            },
        ) => candidates == others && otherwise == other,
        // Once the limits are used up, the default follows.
        (
            tightened,
            Effect::Approve {
                candidates,
                otherwise,
            },
        ) => {
            let may_end = candidates.iter().all(|candidate| candidate.limit.is_some());
            !may_end || is_at_least_as_strict(tightened, otherwise)
        }
        (Effect::Require(tightened), Effect::Require(before)) => {
            let needed = |requirement: &human_oversight::policy::Requirement| -> BTreeSet<(usize, Source, u8)> {
                let stages = requirement.stages.iter().enumerate();
                let asks = stages.flat_map(|(index, stage)| stage.iter().map(move |ask| (index, ask)));
                asks.map(|(index, ask)| (index, ask.from.clone(), ask.needed.get())).collect()
            };
            let after = needed(tightened);
            let keeps = |(stage, from, count): &(usize, Source, u8)| {
                after.iter().any(|(index, source, needed)| {
                    index == stage && source == from && needed >= count
                })
            };
            let shorter = |one: Option<_>, other: Option<_>| {
                other.is_none_or(|other| one.is_some_and(|one| one <= other))
            };
            needed(before).iter().all(keeps)
                && tightened.rejections <= before.rejections
                && tightened.sign_in >= before.sign_in
                && tightened.comment >= before.comment
                && tightened.reask >= before.reask
                && tightened.on_behalf_of_required >= before.on_behalf_of_required
                && tightened.not_before >= before.not_before
                && shorter(tightened.timeout, before.timeout)
                && shorter(tightened.run_within, before.run_within)
        }
        (tightened, before) => rank(tightened) >= rank(before),
    }
}

/// A character as one could write it so that it reads the same.
fn respelt(letter: char, how: usize) -> String {
    match (letter, how) {
        (' ', 1) => "  ".to_owned(),
        (' ', 2) => "\u{a0}".to_owned(),
        (' ', 3) => "\t\u{3000}".to_owned(),
        (_, 1) => letter.to_uppercase().collect(),
        (_, 2) => letter.to_lowercase().collect(),
        ('a'..='z' | 'E' | '/' | '-', 3) => {
            let wide = char::from_u32(letter as u32 + 0xfee0);
            wide.unwrap_or(letter).to_string()
        }
        ('é', 3) => "e\u{301}".to_owned(),
        ('l' | 'i', 4) => "1".to_owned(),
        ('l' | 'i', 5) => "I".to_owned(),
        ('o', 4) => "0".to_owned(),
        ('m', 4) => "rn".to_owned(),
        ('w', 4) => "VV".to_owned(),
        _ => letter.to_string(),
    }
}

fn decomposed(text: &str) -> String {
    text.replace('é', "e\u{301}")
}

/// Fails unless rules that deny a text, or a part of it, deny it also as it is respelt.
fn assert_denied(
    letters: &[(char, usize)],
    (begins, ends): (usize, usize),
    is_padded: [bool; 2],
    comparisons: impl Fn(&str, &str) -> Vec<(&'static str, String)>,
) -> Result<(), TestCaseError> {
    let text: String = letters.iter().map(|(letter, _)| letter).collect();
    let sent: String = letters
        .iter()
        .map(|(letter, how)| respelt(*letter, *how))
        .collect();
    let [before_it, behind_it] = is_padded.map(|it| if it { " " } else { "" });
    let sent = format!("{before_it}{sent}{behind_it}");
    let chars: Vec<char> = text.chars().collect();
    let begins = begins.min(chars.len());
    let ends = ends.clamp(begins, chars.len());
    let [before, part, after] = [&chars[..begins], &chars[begins..ends], &chars[ends..]]
        .map(|it| it.iter().collect::<String>());
    let beginning = format!("{before}{part}");
    let mut rules = vec![format!(
        "when = [{{ parameter = \"/v\", is = {} }}]",
        json!(text)
    )];
    for (comparison, of) in comparisons(&beginning, &part) {
        if !of.is_empty() {
            rules.push(format!(
                "when = [{{ parameter = \"/v\", {comparison} = {} }}]",
                json!(of)
            ));
        }
    }
    let globs = [
        format!("{beginning}*"),
        format!("*{part}{after}"),
        format!("{before}*{after}"),
        format!("*{part}*"),
    ];
    rules.extend(
        globs
            .iter()
            .filter(|it| it.trim() == *it)
            .map(|glob| format!("actions = [{}]", json!(glob))),
    );
    for rule in rules {
        let Some(policy) = load(&[(0, format!("effect = \"deny\"\n{rule}"))], &[], false) else {
            continue;
        };
        let effect = evaluate(&policy, &(sent.clone(), json!({ "v": sent }), Vec::new()));
        prop_assert!(matches!(effect, Effect::Deny { .. }), "{rule} {sent:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rules_and_groups_does_not_matter(
        (rules, denies) in all_rules(),
        shuffled in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        groups in Just(GROUPS.to_vec()).prop_shuffle(),
        request in request(),
    ) {
        let rules = numbered(&rules);
        let order = shuffled.into_iter().filter_map(|at| rules.get(at).cloned());
        let other = load(&order.collect::<Vec<_>>(), &groups, denies).unwrap();
        let policy = load(&rules, &GROUPS, denies).unwrap();
        prop_assert_eq!(unordered(evaluate(&policy, &request)), unordered(evaluate(&other, &request)));
    }

    #[test]
    fn a_rule_that_denies_or_requires_never_loosens(
        (rules, denies) in all_rules(),
        added in rule(),
        at in 0..7_usize,
        request in request(),
    ) {
        prop_assume!(!added.contains("effect = \"approve\""));
        let before = load(&numbered(&rules), &GROUPS, denies).unwrap();
        let mut rules = numbered(&rules);
        rules.insert(at.min(rules.len()), (99, added));
        let tightened = load(&rules, &GROUPS, denies);
        prop_assume!(tightened.is_some());
        let (tightened, before) = (evaluate(&tightened.unwrap(), &request), evaluate(&before, &request));
        // A rule that certainly applies lifts a default denial: that is what it is for.
        let lifts = |effect: &Effect| match effect {
            Effect::Require(it) => it.rules.iter().any(|it| it.is_certain && it.rule.as_str() == "r99"),
            _ => false,
        };
        prop_assume!(!(denies && lifts(&tightened)));
        prop_assert!(is_at_least_as_strict(&tightened, &before), "{tightened:#?}\n{before:#?}");
    }

    #[test]
    fn any_text_is_a_policy_or_has_faults_in_its_lines(text in "(?s)[\\PC\n]{0,200}|(version|rule|\\[|\\]|=|\"|1|\n|\\{|\\}|groups| ){0,60}") {
        if let Err(faults) = Policy::parse(&text, &surroundings()) {
            let lines = text.lines().count() + 1;
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)), "{faults:?}");
        }
    }

    #[test]
    fn a_text_that_reads_like_one_that_fits_is_never_said_not_to_fit(
        letters in prop::collection::vec((prop::sample::select("abzEé \u{5e9}/-".chars().collect::<Vec<_>>()), 0..4usize), 1..12),
        (begins, ends) in (0..12usize, 0..12usize),
        is_padded in any::<[bool; 2]>(),
    ) {
        assert_denied(&letters, (begins, ends), is_padded, |beginning, part| {
            vec![("starts_with", beginning.to_owned()), ("matches", part.to_owned()), ("matches", decomposed(part))]
        })?;
    }

    #[test]
    fn a_text_whose_letters_look_like_those_of_one_that_fits_is_never_said_not_to_fit(
        letters in prop::collection::vec((prop::sample::select("liomwrnvE/-".chars().collect::<Vec<_>>()), 0..6usize), 1..12),
        (begins, ends) in (0..12usize, 0..12usize),
        is_padded in any::<[bool; 2]>(),
    ) {
        assert_denied(&letters, (begins, ends), is_padded, |beginning, _| vec![("starts_with", beginning.to_owned())])?;
    }
}
