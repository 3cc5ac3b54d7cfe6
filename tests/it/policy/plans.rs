//! Which requirements can be plans.

use std::time::Duration;

use human_oversight::policy::{Asked, PlanFault, Policy, Requirement};
use human_oversight::values::AllowList;
use serde_json::json;

use super::{address, asked, parse, people, requirement, rules, surroundings};

const DAY: Duration = Duration::from_secs(86_400);

fn demand(policy: &Policy, on_behalf_of: Option<&str>, requested: &[&str]) -> Requirement {
    let parameters = json!({});
    let on_behalf_of = on_behalf_of.map(address);
    let requested: Vec<_> = requested.iter().map(|it| address(it)).collect();
    requirement(policy.evaluate(&Asked {
        on_behalf_of: on_behalf_of.as_ref(),
        requested: &requested,
        ..asked("act", &parameters)
    }))
}

fn is_unsatisfiable(demand: &Requirement) -> bool {
    matches!(
        demand.check(DAY),
        Err(PlanFault::QuorumUnsatisfiable { .. })
    )
}

#[test]
fn the_person_acted_for_is_never_asked_and_no_quorum_shrinks() {
    let two = rules(
        "[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{ from = \"finance\", approvals = 2 }]\n",
    );
    let of_maria = demand(&two, Some("Maria+x@EXAMPLE.com"), &[]);
    assert_eq!(
        people(&of_maria.stages[0][0].members),
        ["lena@example.com", "omar@example.com"]
    );
    assert_eq!(
        (of_maria.stages[0][0].needed.get(), of_maria.check(DAY)),
        (2, Ok(()))
    );
    let three = rules(
        "[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{ from = \"finance\", approvals = 3 }]\n",
    );
    assert_eq!(demand(&three, None, &[]).check(DAY), Ok(()));
    let of_maria = demand(&three, Some("maria@example.com"), &[]);
    assert_eq!(of_maria.stages[0][0].needed.get(), 3);
    assert!(is_unsatisfiable(&of_maria));
}

#[test]
fn the_person_acted_for_is_known_by_object_id_too() {
    let id = "11111111-2222-3333-4444-555555555555";
    let text = format!(
        "version = 1\n[groups]\nfinance = [\"m.surname@example.com={id}\", \"lena@example.com\"]\n\
         [[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{{ from = \"finance\" }}]\n"
    );
    let list = format!("maria@example.com={id},m.surname@example.com,lena@example.com");
    let mut around = surroundings();
    around.allowed = AllowList::parse(&list).unwrap();
    let policy = Policy::parse(&text, &around).unwrap();
    let found = demand(&policy, Some("maria@example.com"), &[]);
    assert_eq!(people(&found.stages[0][0].members), ["lena@example.com"]);
}

#[test]
fn one_person_fills_one_place_whatever_their_groups_and_addresses() {
    let id = "11111111-2222-3333-4444-555555555555";
    let policy = parse(&format!(
        r#"
version = 1
[groups]
one = ["a@example.com", "b@example.com"]
two = ["A+tag@example.com", "c@example.com"]
three = ["d@example.com={id}", "c@example.com"]
four = ["e@example.com={id}", "f@example.com"]
[[rule]]
id = "by-tag"
effect = "require"
actions = ["tag"]
stages = [{{ from = "one" }}]
[[rule]]
id = "by-tag-too"
effect = "require"
actions = ["tag"]
stages = [{{ from = "two", approvals = 1 }}]
[[rule]]
id = "all-of-one"
effect = "require"
actions = ["*one"]
stages = [{{ from = "one", approvals = 2 }}]
[[rule]]
id = "two-beside"
effect = "require"
actions = ["beside one"]
stages = [{{ from = "two" }}]
[[rule]]
id = "by-id"
effect = "require"
actions = ["id"]
stages = [{{ from = "three", approvals = 2 }}]
[[rule]]
id = "by-id-too"
effect = "require"
actions = ["id"]
stages = [{{ from = "four" }}]
"#
    ));
    let parameters = json!({});
    let check = |action| requirement(policy.evaluate(&asked(action, &parameters))).check(DAY);
    assert_eq!(check("tag"), Ok(()));
    assert_eq!(check("just one"), Ok(()));
    assert!(matches!(
        check("beside one"),
        Err(PlanFault::QuorumUnsatisfiable {
            free: 1,
            needed,
            ..
        }) if needed.get() == 2
    ));
    assert!(matches!(
        check("id"),
        Err(PlanFault::QuorumUnsatisfiable { .. })
    ));
}

#[test]
fn approvers_whom_the_agent_names_must_suffice() {
    let policy = rules(
        "[[rule]]\nid = \"r\"\neffect = \"require\"\nsign_in = true\n\
         stages = [{ from = \"requested\", approvals = 2 }, { from = \"finance\", approvals = 3 }]\n",
    );
    assert!(is_unsatisfiable(&demand(&policy, None, &[])));
    assert!(is_unsatisfiable(&demand(&policy, None, &["x@example.com"])));
    assert!(is_unsatisfiable(&demand(
        &policy,
        None,
        &["x@example.com", "X+1@example.com"]
    )));
    // One of them is in the other group.
    assert!(is_unsatisfiable(&demand(
        &policy,
        None,
        &["x@example.com", "maria@example.com"]
    )));
    let good = demand(&policy, None, &["x@example.com", "y@example.com"]);
    assert_eq!(good.check(DAY), Ok(()));
    assert!(good.asks_requested());
}

#[test]
fn a_plan_beyond_the_limits_is_refused_and_not_cut() {
    let group = |name: &str, count: usize| {
        let members: Vec<_> = (0..count)
            .map(|at| format!("\"{name}{at}@example.com\""))
            .collect();
        format!("{name} = [{}]\n", members.join(", "))
    };
    let rule = |id: &str, stages: &str| {
        format!("[[rule]]\nid = \"{id}\"\neffect = \"require\"\nstages = [{stages}]\n")
    };
    let ask = |from: &str, needed: usize| format!("{{ from = \"{from}\", approvals = {needed} }}");
    let check = |groups: &[String], rules: &[String]| {
        let policy = parse(&format!(
            "version = 1\n[groups]\n{}{}",
            groups.concat(),
            rules.concat()
        ));
        let parameters = json!({});
        requirement(policy.evaluate(&asked("act", &parameters))).check(DAY)
    };
    let too_large = |what, count, most| Err(PlanFault::TooLarge { what, count, most });
    let [a, b] = [group("a", 10), group("b", 10)];
    let (six, seven) = (rule("r", &ask("a", 6)), rule("s", &ask("b", 7)));
    assert_eq!(
        check(
            &[a.clone(), b.clone()],
            &[six.clone(), rule("s", &ask("b", 6))]
        ),
        Ok(())
    );
    assert_eq!(
        check(&[a.clone(), b], &[six.clone(), seven]),
        too_large("votes", 13, 12)
    );
    // Two rejections leave the request open, each perhaps an approval that was revoked.
    let vetoes = |needed| {
        let rule = rule("r", &ask("a", needed));
        check(&[group("a", 10)], &[rule + "rejections = 3\n"])
    };
    assert_eq!(vetoes(8), Ok(()));
    let reasons = |id: &str| {
        let reasons: Vec<String> = (0..7).map(|it| format!("{id} {it}")).collect();
        rule(id, &ask("a", 1)) + &format!("reject_reasons = {reasons:?}\n")
    };
    let several = |rules: &[&str]| {
        let rules: Vec<String> = rules.iter().map(|id| reasons(id)).collect();
        check(&[group("a", 10)], &rules)
    };
    assert_eq!(several(&["r", "s"]), Ok(()));
    assert_eq!(
        several(&["r", "s", "t"]),
        too_large("reasons for a rejection", 21, 20)
    );
    let b = group("b", 11);
    assert_eq!(
        check(&[a, b], &[six, rule("s", &ask("b", 1))]),
        too_large("people", 21, 20)
    );
}

#[test]
fn stages_must_fit_in_the_time_to_decide() {
    let policy = rules(
        "[[rule]]\nid = \"r\"\neffect = \"require\"\nnot_before = \"10m\"\n\
         stages = [{ from = \"finance\" }, { from = \"security\" }]\n",
    );
    let found = demand(&policy, None, &[]);
    let check = |minutes: u64| found.check(Duration::from_secs(minutes * 60));
    assert_eq!(check(21), Ok(()));
    assert!(matches!(
        check(20),
        Err(PlanFault::NoTime { stages: 2, .. })
    ));
}

#[test]
fn of_several_escalations_the_earliest_asks_the_people_of_all_whom_no_stage_names() {
    let rule = |id: &str, from: &str, after: &str, to: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\neffect = \"require\"\nstages = [{{ from = \"{from}\" }}]\n\
             escalate = {{ after = \"{after}\", to = \"{to}\" }}\n"
        )
    };
    let one = rule("one", "finance", "60%", "security");
    let other = rule("other", "requested", "40%", "finance");
    for text in [format!("{one}{other}"), format!("{other}{one}")] {
        let joined = demand(&rules(&text), None, &["x@example.com", "Omar@example.com"]);
        let escalate = joined.escalate.as_ref().unwrap();
        assert_eq!(escalate.after_percent.get(), 40);
        assert_eq!(escalate.from, ["finance", "security"]);
        // All of finance are asked by the first rule.
        let added: Vec<_> = joined.escalated().into_iter().cloned().collect();
        assert_eq!(people(&added), ["sec@example.com"]);
        assert_eq!(joined.check(DAY), Ok(()));
    }
    let for_security = demand(&rules(&one), Some("sec@example.com"), &[]);
    assert_eq!(
        for_security.escalated(),
        [] as [&human_oversight::policy::Member; 0]
    );
}
