//! Faults of a policy, each with its line.

use human_oversight::policy::Surroundings;
use human_oversight::values::AllowList;

use super::{GROUPS, faults, faults_in, parse, surroundings};

#[test]
fn all_faults_are_found_at_once_each_with_its_line() {
    let text = r#"version = 2
verison = 1

[groups]
empty = []
finance = ["maria@example.com", "*@example.com", "not an address"]
requested = ["x@example.com"]

[default]
effect = "approve"

[[rule]]
id = "pay"
efect = "deny"
effect = "require"
stages = [{ from = "finanse", approvals = 0 }]
comment = "sometimes"
timeout = "4 hours"

[[rule]]
id = "pay"
effect = "deny"
limit = { times = 1, per = "1h" }
when = [
  { parameter = "amount", is = 1 },
  { parameter = "/list/-", is = 1 },
  { parameter = "/x" },
  { parameter = "/y", more_than = "5" },
]

[[rule]]
effect = "allow"
"#;
    assert_eq!(
        faults(text),
        [
            "1: `version` must be 1",
            "2: the policy has an unknown member `verison`: perhaps `version`",
            "5: group `empty` must be a list of at least one item",
            "6: item 2 of group `finance` is a pattern: a group must name its people",
            "6: item 3 of group `finance` must be a plain email address, such as alice@example.com",
            "7: group `requested` has the name by which rules call the approvers whom the agent names",
            "10: `effect` must be \"require\" or \"deny\"",
            "14: rule `pay` has an unknown member `efect`: perhaps `effect`",
            "16: `approvals` must be a whole number from 1 to 12",
            "17: `comment` must be \"never\" or \"on-reject\" or \"always\"",
            "18: `timeout` must be a time from 10s to 30d, such as \"30s\", \"15m\", \"4h\" or \"2d\"",
            "21: rule `pay` has the id of the rule in line 13",
            "23: `limit` of rule `pay` belongs to the effect \"approve\"",
            "25: `parameter` is no JSON pointer: it must begin with `/`, such as `/amount`",
            "26: `parameter` ends beyond the last item of a list: `-` names no parameter",
            "27: condition 3 compares nothing: it needs `is`, `more_than`, `exists` or another comparison",
            "28: `more_than` must be a number",
            "31: item 3 of `rule` has no `id`",
            "32: `effect` must be \"approve\" or \"deny\" or \"require\"",
        ]
    );
}

/// The faults of one rule, without their lines.
fn rule_faults(rule: &str) -> Vec<String> {
    let text = format!("{}[[rule]]\nid = \"r\"\n{rule}\n", GROUPS);
    let found = faults(&text).into_iter();
    found
        .map(|it| it.split_once(": ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn a_rule_that_no_request_can_match_does_not_load() {
    let when = |conditions: &str| rule_faults(&format!("effect = \"deny\"\nwhen = [{conditions}]"));
    for contradiction in [
        r#"{ parameter = "/a", more_than = 5, less_than = 5 }"#,
        r#"{ parameter = "/a", more_than = 5 }, { parameter = "/a", at_most = 5 }"#,
        r#"{ parameter = "/a", at_least = 5.01, at_most = 5.00 }"#,
        r#"{ parameter = "/a", at_least = 5, at_most = 5, is_not = 5 }"#,
        r#"{ parameter = "/a", is = 1 }, { parameter = "/a", is = 2 }"#,
        r#"{ parameter = "/a", is = "x", is_not = "x" }"#,
        r#"{ parameter = "/a", is = "x", none_of = ["x", "y"] }"#,
        r#"{ parameter = "/a", one_of = ["x", "y"], starts_with = "z" }"#,
        r#"{ parameter = "/a", one_of = [1, 2], more_than = 2 }"#,
        r#"{ parameter = "/a", is = "x", more_than = 2 }"#,
        r#"{ parameter = "/a", is = "x", matches = "^y" }"#,
        r#"{ parameter = "/a", exists = false, is = 1 }"#,
        r#"{ parameter = "/a", exists = false }, { parameter = "/a", exists = true }"#,
        r#"{ parameter = "/a", exists = false }, { parameter = "/a/b", is = 1 }"#,
        r#"{ parameter = "/a", is = 1 }, { parameter = "/a/b", exists = true }"#,
    ] {
        let found = when(contradiction);
        assert_eq!(found.len(), 1, "{contradiction}: {found:?}");
        assert!(
            found[0].starts_with("rule `r` can never match: its conditions on /a"),
            "{found:?}"
        );
    }
    // A parameter that is none contradicts no other.
    for other in ["is = 1", "exists = true"] {
        let found = when(&format!(
            r#"{{ parameter = "/a", {other} }}, {{ parameter = "", is = "x" }}"#
        ));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("must name one parameter"), "{found:?}");
    }
    for fine in [
        r#"{ parameter = "/a", at_least = 5, at_most = 5 }"#,
        r#"{ parameter = "/a", more_than = 5, is_not = 6 }"#,
        r#"{ parameter = "/a", one_of = ["x", "y"], is_not = "y" }"#,
        r#"{ parameter = "/a", is = "12", more_than = 2 }"#,
        r#"{ parameter = "/a", exists = true }, { parameter = "/a/b", exists = false }"#,
        r#"{ parameter = "/a", exists = false }, { parameter = "/ab", is = 1 }"#,
        r#"{ parameter = "/a", starts_with = "x", matches = "z$" }"#,
    ] {
        assert_eq!(when(fine), [] as [&str; 0], "{fine}");
    }
}

#[test]
fn a_channel_names_the_setting_with_its_url() {
    let rest = "[default]\neffect = \"deny\"\n";
    let faults_of = |channels: &str| faults(&format!("version = 1\n{channels}{rest}"));
    let channel = |name, url| format!("[channels.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\n");
    let two = channel("a", "HO_CHANNEL_A") + &channel("b-1", "HO_CHANNEL_B_1");
    assert_eq!(faults_of(&two), [] as [&str; 0]);
    for url in [
        "https://hooks.example.com/topsecret",
        "HO_CHANNEL_",
        "HO_CHANNEL_a",
        "HO_CHANNEL_A_SECRET",
        "HO_SMTP_PASSWORD",
    ] {
        let found = faults_of(&channel("a", url));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("4: `url` must be the name of the setting"),
            "{found:?}"
        );
        assert!(!found[0].contains("topsecret"), "{found:?}");
    }
    let twice = channel("a", "HO_CHANNEL_A") + &channel("b", "HO_CHANNEL_A");
    assert_eq!(
        faults_of(&twice),
        ["7: `url` is that of the channel in line 4"]
    );
    let other = "[channels.a]\nkind = \"pager\"\nurl = \"HO_CHANNEL_A\"\nsecret = \"x\"\n";
    assert_eq!(faults_of(other).len(), 2, "{:?}", faults_of(other));
}

#[test]
fn only_channels_of_the_policy_are_notified_and_only_webhooks_call_back() {
    let found = rule_faults(
        "effect = \"require\"\nstages = [{ from = \"finance\" }]\ntell = [\"finance\"]",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("is no channel: there is no `finance` in [channels]"),
        "{found:?}"
    );
    let channel = |number| {
        format!(
            "[channels.x{number}]\nkind = \"teams\"\nurl = \"HO_CHANNEL_{number}\"\npauses = true\n"
        )
    };
    let channels: String = (0..6).map(channel).collect();
    assert_eq!(
        faults(&format!("version = 1\n{channels}")),
        ["25: `pauses` is one too many: at most 5 channels get pauses"]
    );
    let teams = "version = 1\n[channels.x]\nkind = \"teams\"\nurl = \"HO_CHANNEL_X\"\ncallback_for = [\"*\"]\n";
    let found = faults(teams);
    assert_eq!(
        found,
        ["5: `callback_for` belongs to a channel of the kind \"webhook\""]
    );
    let channels: String = (0..6)
        .map(|it| format!("[channels.c{it}]\nkind = \"teams\"\nurl = \"HO_CHANNEL_{it}\"\n"))
        .collect();
    let names: Vec<String> = (0..6).map(|it| format!("c{it}")).collect();
    let rule = format!("[[rule]]\nid = \"r\"\neffect = \"deny\"\ntell = {names:?}\n");
    let found = faults(&format!("version = 1\n{channels}{rule}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("must have at most 5 items"), "{found:?}");
}

#[test]
fn an_escalation_names_a_share_and_people_who_are_not_asked_anyway() {
    let share = "must be a share from \"1%\" to \"99%\"";
    for (escalate, fault) in [
        (r#"{ after = "0%", to = "security" }"#, share),
        (r#"{ after = "100%", to = "security" }"#, share),
        (r#"{ after = "+5%", to = "security" }"#, share),
        (r#"{ after = "50", to = "security" }"#, share),
        (r#"{ after = 50, to = "security" }"#, share),
        (r#"{ after = "50%" }"#, "has no `to`"),
        (r#"{ to = "security" }"#, "has no `after`"),
        (
            r#"{ after = "50%", to = "nowhere" }"#,
            "there is no `nowhere` in [groups]",
        ),
        (
            r#"{ after = "50%", to = ["security"] }"#,
            "must be a text in quotes",
        ),
        (
            r#"{ after = "50%", to = "security", mode = "replace" }"#,
            "unknown member `mode`",
        ),
        (
            r#"{ after = "50%", to = "finance" }"#,
            "escalates to people who are all asked anyway",
        ),
    ] {
        let rule = format!(
            "effect = \"require\"\nstages = [{{ from = \"finance\" }}]\nescalate = {escalate}"
        );
        let found = rule_faults(&rule);
        assert_eq!(found.len(), 1, "{escalate}: {found:?}");
        assert!(found[0].contains(fault), "{escalate}: {found:?}");
    }
    let rule = "effect = \"deny\"\nescalate = { after = \"50%\", to = \"security\" }";
    assert!(rule_faults(rule)[0].contains("belongs to the effect"));
}

#[test]
fn an_absence_names_two_people_and_a_time() {
    let of = |members: &str| faults(&format!("version = 1\n[[absence]]\n{members}\n"));
    let with = |from: &str, until: &str, substitute: &str| {
        of(&format!(
            "person = \"alice@example.com\"\nfrom = {from}\nuntil = {until}\nsubstitute = \"{substitute}\""
        ))
    };
    let bob = "bob@example.com";
    for (from, until) in [
        ("2026-12-24", "2027-01-02"),
        ("2026-12-24T18:00:00+01:00", "2026-12-24T17:00:01Z"),
    ] {
        assert_eq!(with(from, until, bob), [] as [&str; 0], "{from}");
    }
    let form = "must be a day such as 2026-12-24";
    for (from, until, substitute, fault) in [
        ("2026-12-24", "2026-12-24", bob, "ends before it begins"),
        (
            "2026-12-24T18:00:00+01:00",
            "2026-12-24T17:00:00Z",
            bob,
            "ends before it begins",
        ),
        ("\"2026-12-24\"", "2027-01-02", bob, form),
        ("2026-12-24T18:00:00", "2027-01-02", bob, form),
        ("18:00:00", "2027-01-02", bob, form),
        (
            "2026-12-24",
            "2027-01-02",
            "Alice+away@example.com",
            "the same person",
        ),
        ("2026-12-24", "2027-01-02", "*@example.com", "is a pattern"),
        ("2026-12-24", "2027-01-02", "bob", "address"),
    ] {
        let found = with(from, until, substitute);
        assert_eq!(found.len(), 1, "{from} {until} {substitute}: {found:?}");
        assert!(
            found[0].contains(fault),
            "{from} {until} {substitute}: {found:?}"
        );
    }
    assert!(of("person = \"alice@example.com\"").len() == 3);
    let one = "[[absence]]\nperson = \"alice@example.com\"\nfrom = 2026-12-24\nuntil = 2026-12-31\nsubstitute = \"bob@example.com\"\n";
    let twice = faults(&format!(
        "version = 1\n{one}{}",
        one.replace("12-24", "12-30")
    ));
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(
        twice[0].contains("overlaps the absence of the same person in line 2"),
        "{twice:?}"
    );
    let next = one
        .replace("12-24", "12-31")
        .replace("12-31\nsub", "2027-01-02\nsub");
    let next = next.replace("until = 2026-2027", "until = 2027");
    assert_eq!(
        faults(&format!("version = 1\n{one}{next}")),
        [] as [&str; 0]
    );
}

#[test]
fn what_a_rule_may_say_has_limits() {
    let require = "effect = \"require\"\nstages = [{ from = \"finance\" }]\n";
    for (rule, at_fault) in [
        (format!("{require}rejections = 0"), "`rejections`"),
        (format!("{require}grants = \"30s\""), "`grants`"),
        (format!("{require}grants = \"8d\""), "`grants`"),
        (
            "effect = \"require\"\nstages = [{ from = \"finance\", approvals = 2 }]\ngrants = \"8h\"".to_owned(),
            "rule `r` has `grants`, which takes one stage that needs one approval",
        ),
        (
            "effect = \"approve\"\ngrants = \"8h\"".to_owned(),
            "`grants` of rule `r` belongs to the effect \"require\"",
        ),
        (format!("{require}rejections = 13"), "`rejections`"),
        (format!("{require}rejections = 4"), "rule `r` asks fewer people than its `rejections`"),
        (format!("{require}timeout = \"9s\""), "`timeout`"),
        (format!("{require}timeout = \"31d\""), "`timeout`"),
        (format!("{require}timeout = 60"), "`timeout`"),
        (format!("{require}timeout = \"1h30m\""), "`timeout`"),
        (format!("{require}timeout = \"-1h\""), "`timeout`"),
        (format!("{require}timeout = \"99999999999999999999d\""), "`timeout`"),
        (format!("{require}not_before = \"1h\"\ntimeout = \"1h\""), "rule `r` can never be met"),
        (format!("{require}run_within = \"0s\""), "`run_within`"),
        (
            format!("{require}reject_reasons = [\"No\", \" \"]"),
            "item 2 of `reject_reasons` has nothing that shows",
        ),
        (
            format!("{require}reject_reasons = [\"\\u200B\\u2800\"]"),
            "item 1 of `reject_reasons` has a character that does not show",
        ),
        (format!("{require}on_behalf_of = true"), "`on_behalf_of`"),
        (format!("{require}reask = \"never\""), "`reask`"),
        (format!("{require}add_requested = true"), "`add_requested`"),
        (format!("{require}summary = [\"amount\"]"), "item 1 of `summary`"),
        (format!("{require}summary = [\"/a\", \"/a\"]"), "item 2 of `summary`"),
        (format!("{require}reject_reasons = [\"a\\nb\"]"), "item 1 of `reject_reasons`"),
        (format!("{require}reason = \"x\""), "`reason` of rule `r` belongs"),
        (format!("{require}ignore = [\"/a\"]"), "`ignore` of rule `r` belongs"),
        ("effect = \"require\"\nstages = [{ from = \"requested\", approvals = 2 }]".to_owned(), "`from` asks"),
        ("effect = \"require\"\nstages = [{ from = \"finance\", approvals = 3 }, { from = \"finance\" }]".to_owned(), "rule `r` can never"),
        ("effect = \"require\"\nstages = [{ from = \"unknown\" }]".to_owned(), "`from` is no group"),
        ("effect = \"deny\"\nstages = [{ from = \"finance\" }]".to_owned(), "`stages` of rule `r` belongs"),
        ("effect = \"deny\"\nactions = []".to_owned(), "`actions`"),
        ("effect = \"deny\"\nactions = [\"\"]".to_owned(), "item 1 of `actions`"),
        ("effect = \"deny\"\nactions = \"x\"".to_owned(), "`actions`"),
        ("effect = \"deny\"\nactions = [\" x\"]".to_owned(), "item 1 of `actions`"),
        ("effect = \"deny\"\nactions = [\"x\u{200b}\"]".to_owned(), "item 1 of `actions`"),
        ("effect = \"deny\"\nactions = [\"Pay \u{ff0a}\"]".to_owned(), "item 1 of `actions`"),
        ("effect = \"deny\"\nwhen = []".to_owned(), "`when`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"\", exists = true }]".to_owned(), "`parameter`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a~2\", is = 1 }]".to_owned(), "`parameter`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", is = inf }]".to_owned(), "`is`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", is = nan }]".to_owned(), "`is`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", is = 0x10 }]".to_owned(), "`is`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", is = 1979-05-27 }]".to_owned(), "`is`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", is = [1] }]".to_owned(), "`is`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", one_of = [1, \"a\"] }]".to_owned(), "item 2 of `one_of`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", one_of = [] }]".to_owned(), "`one_of`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", exists = \"yes\" }]".to_owned(), "`exists`"),
        ("effect = \"deny\"\nwhen = [{ parameter = \"/a\", iz = 1, is = 1 }]".to_owned(), "condition 1 has an unknown"),
        ("effect = \"approve\"\nlimit = { times = 0, per = \"1h\" }".to_owned(), "`times`"),
        ("effect = \"approve\"\nlimit = { times = 1 }".to_owned(), "`limit` has no `per`"),
        ("effect = \"approve\"\nlimit = { times = 1, per = \"1s\" }".to_owned(), "`per`"),
        ("effect = \"approve\"\nsign_in = true".to_owned(), "`sign_in` of rule `r` belongs"),
    ] {
        let found = rule_faults(&rule);
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        assert!(found[0].starts_with(at_fault), "{rule}: {found:?}");
    }
    for id in ["", "a b", "default", "ä", &"x".repeat(65)] {
        let found = faults(&format!(
            "version = 1\n[[rule]]\nid = \"{id}\"\neffect = \"deny\"\n"
        ));
        assert_eq!(found.len(), 1, "{id}: {found:?}");
        assert!(found[0].starts_with("3: `id` must have"), "{id}: {found:?}");
    }
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_the_lines() {
    let found = faults("version =\n[groups]\na = [\"x@example.com\"\n[[rule]]\n");
    assert!(found.len() >= 2, "{found:?}");
    assert!(
        found[0].starts_with("1: the text is no TOML: "),
        "{found:?}"
    );
    let twice = faults("version = 1\n[[rule]]\nid = \"r\"\neffect = \"deny\"\neffect = \"deny\"\n");
    assert_eq!(twice, ["5: the text is no TOML: duplicate key"]);
    for text in [
        "",
        "\u{0}",
        "version",
        "{\"version\": 1}",
        "version = 1\n\u{feff}x = 1",
    ] {
        assert!(!faults(text).is_empty(), "{text:?}");
    }
    assert!(faults("\u{feff}version = 1\r\n[default]\r\neffect = \"deny\"\r\n").is_empty());
}

#[test]
fn the_size_of_a_policy_is_limited() {
    let many = |count: usize| {
        let rules = (0..count).map(|at| format!("[[rule]]\nid = \"r{at}\"\neffect = \"deny\"\n"));
        format!("version = 1\n{}", rules.collect::<String>())
    };
    assert!(faults(&many(500)).is_empty());
    let found = faults(&many(501));
    assert!(
        found[0].contains("item 501 of `rule` is one too many: a policy has at most 500 rules"),
        "{found:?}"
    );
    let groups = |count: usize| {
        let groups = (0..count).map(|at| format!("g{at} = [\"a@example.com\"]\n"));
        format!("version = 1\n[groups]\n{}", groups.collect::<String>())
    };
    assert!(faults(&groups(100)).is_empty());
    assert!(faults(&groups(101))[0].contains("a policy has at most 100 groups"));
    let long = format!("version = 1\n# {}\n", "x".repeat(64 << 10));
    assert_eq!(faults(&long), ["1: the policy has more than 65536 bytes"]);
    let crowd: Vec<_> = (0..21).map(|at| format!("\"a{at}@example.com\"")).collect();
    let crowd = format!("version = 1\n[groups]\ncrowd = [{}]\n", crowd.join(", "));
    assert!(faults(&crowd).is_empty());
    let asks = format!(
        "{crowd}[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{{ from = \"crowd\" }}]\n"
    );
    assert!(faults(&asks)[0].contains("more than 20 people"));
}

#[test]
fn a_policy_must_fit_the_settings_of_the_gate() {
    let listed = Surroundings {
        allowed: AllowList::parse(
            "maria@example.com=11111111-2222-3333-4444-555555555555,*@example.org",
        )
        .unwrap(),
        ..surroundings()
    };
    let group = |member: &str| {
        faults_in(
            &format!("version = 1\n[groups]\na = [\"{member}\"]\n"),
            &listed,
        )
    };
    for fine in [
        "maria@example.com",
        "MARIA@example.com=11111111-2222-3333-4444-555555555555",
        "lena@example.org",
    ] {
        assert!(group(fine).is_empty(), "{fine}");
    }
    for (member, why) in [
        (
            "maria+x@example.com",
            "is not on the list of approvers (HO_ALLOWED_APPROVERS)",
        ),
        (
            "maria@example.net",
            "is not on the list of approvers (HO_ALLOWED_APPROVERS)",
        ),
        (
            "maria@example.com=99999999-2222-3333-4444-555555555555",
            "has another object id in the list",
        ),
        ("maria@example.com=1", "must have an object id"),
        ("maria@example.com=group:finance", "must have an object id"),
        ("maria@example.com=role:", "must have an object id"),
        ("maria@example.com=team:a", "must have an object id"),
        ("a%b@example.org", "must be an address without"),
    ] {
        let found = group(member);
        assert_eq!(found.len(), 1, "{member}: {found:?}");
        assert!(
            found[0].starts_with(&format!("3: item 1 of group `a` {why}")),
            "{found:?}"
        );
        assert!(
            !found[0].contains("maria"),
            "a fault names no person: {found:?}"
        );
    }
    let approve = "version = 1\n[[rule]]\nid = \"r\"\neffect = \"approve\"\nactions = [\"x\"]\n";
    let unbound = Surroundings {
        names_bound: false,
        ..surroundings()
    };
    assert!(faults_in(approve, &unbound)[0].contains("HO_AGENT_KEYS"));
    let unbound_names = unbound.clone();
    let development = Surroundings {
        development: true,
        ..unbound
    };
    assert!(faults_in(approve, &development).is_empty());
    let grants = format!(
        "{GROUPS}[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{{ from = \"security\" }}]\ngrants = \"8h\"\n"
    );
    assert!(
        faults_in(&grants, &unbound_names)[0].contains("has `grants`, which takes HO_AGENT_KEYS")
    );
    assert!(parse(&grants).needs_bound_names());
    let sign_in = "version = 1\n[[rule]]\nid = \"r\"\neffect = \"require\"\nsign_in = true\nstages = [{ from = \"requested\" }]\n";
    let without = Surroundings {
        sign_in_configured: false,
        development: true,
        ..surroundings()
    };
    assert!(faults_in(sign_in, &without)[0].contains("takes sign-in, which is not set up"));
    let role = "version = 1\n[groups]\na = [\"maria@example.com=role:Approver\"]\n";
    assert!(faults_in(role, &without)[0].contains("takes sign-in, and that is not set up"));
    assert!(faults(role).is_empty() && parse(role).needs_sign_in());
}

#[test]
fn one_address_has_one_object_id() {
    let [one, other] = [
        "11111111-2222-3333-4444-555555555555",
        "21111111-2222-3333-4444-555555555555",
    ];
    let text = format!(
        "version = 1\n[groups]\na = [\"x@example.com={one}\"]\nb = [\"X@example.com={other}\"]\n"
    );
    assert_eq!(
        faults(&text),
        ["4: item 1 of group `b` has another object id in another group"]
    );
    let absence = |person: &str, from: &str| {
        format!(
            "[[absence]]\nperson = \"{person}\"\nsubstitute = \"y@example.com\"\nfrom = {from}-01-01\nuntil = {from}-01-08\n"
        )
    };
    let text = format!(
        "version = 1\n{}{}[groups]\na = [\"x@example.com={one}\"]\n",
        absence(&format!("x@example.com={one}"), "2027"),
        absence(&format!("X@example.com={other}"), "2028"),
    );
    let found = faults(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].ends_with("`person` has another object id in a group or in an earlier absence"),
        "{found:?}"
    );
    let roles = "version = 1\n[groups]\na = [\"x@example.com=role:A\"]\nb = [\"X@example.com\"]\n\
                 c = [\"x@example.com=role:B\"]\n[[absence]]\nperson = \"x@example.com=role:A\"\n\
                 substitute = \"y@example.com\"\nfrom = 2027-01-01\nuntil = 2027-01-08\n";
    let found = faults(roles);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("has another group or role in another group"));
    assert!(found[1].contains("which only the members of groups can have"));
}

#[test]
fn warnings_name_what_is_likely_a_mistake() {
    let policy = parse(
        r#"version = 1
[groups]
finance = ["maria@example.com"]
unused = ["lena@example.com"]

[[rule]]
id = "stop"
actions = ["Delete *"]
effect = "deny"

[[rule]]
id = "delete-test"
actions = ["Delete test *"]
effect = "require"
stages = [{ from = "finance" }]

[[rule]]
id = "large"
actions = ["Pay *"]
when = [{ parameter = "/amount", more_than = 100 }]
effect = "require"
stages = [{ from = "finance" }]

[[rule]]
id = "largest"
actions = ["Pay supplier *"]
when = [{ parameter = "/amount", more_than = 5000 }]
effect = "require"
stages = [{ from = "finance" }]

[[rule]]
id = "twice"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "requested" }, { from = "finance" }]

[[rule]]
id = "free"
effect = "approve"
when = [{ parameter = "/text", exists = true }]
"#,
    );
    let warnings = policy.warnings();
    let found: Vec<_> = warnings
        .iter()
        .map(|it| format!("{}: {}", it.line, it.message))
        .collect();
    let beginnings = [
        "4: group `unused` is in no rule",
        "12: rule `delete-test` never changes the outcome: rule `stop` in line 7",
        "25: rule `largest` never changes the outcome: rule `large` in line 18",
        "32: a request that matches rule `twice` and rule `large` in line 18 is refused",
        "32: a request that matches rule `twice` and rule `largest` in line 25 is refused",
        "38: rule `free` approves any value of /text",
        "38: rule `free` approves every action",
    ];
    assert_eq!(found.len(), beginnings.len(), "{found:#?}");
    for (warning, beginning) in found.iter().zip(beginnings) {
        assert!(warning.starts_with(beginning), "{warning}\n{beginning}");
    }
}

/// The warnings of a policy with these rules.
fn warnings(rules: &str) -> Vec<String> {
    let groups = "version = 1\n[groups]\nfinance = [\"maria@example.com\", \"lena@example.com\"]\n\
                  security = [\"ines@example.com=role:Security\"]\nleads = [\"cfo@example.com\"]\n\
                  [channels.ledger]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_LEDGER\"\n";
    let of_rules = |message: &String| !message.starts_with("group `");
    let warnings = parse(&format!("{groups}{rules}")).warnings();
    let messages = warnings.into_iter().map(|it| it.message);
    messages.filter(of_rules).collect()
}

#[test]
fn a_way_around_the_words_of_a_rule_is_a_warning() {
    let approve = |when: &str| {
        format!(
            "[[rule]]\nid = \"a\"\nactions = [\"Pay *\"]\neffect = \"approve\"\nwhen = [{when}]\n"
        )
    };
    let unbounded = ["rule `a` approves negative numbers too: /amount has no lower bound"];
    for (when, expected) in [
        ("{ parameter = \"/amount\", at_most = 50 }", &unbounded[..]),
        ("{ parameter = \"/amount\", less_than = 50 }", &unbounded),
        (
            "{ parameter = \"/amount\", at_most = 50 }, { parameter = \"/fee\", at_least = 0 }",
            &unbounded,
        ),
        (
            "{ parameter = \"/amount\", at_most = 50, at_least = 0 }",
            &[],
        ),
        (
            "{ parameter = \"/amount\", at_most = 50 }, { parameter = \"/amount\", more_than = 0 }",
            &[],
        ),
        (
            "{ parameter = \"/path\", starts_with = \"/a\" }, { parameter = \"/path\", starts_with = \"/b\" }",
            &[
                "rule `a` matches only what cannot be compared: no text meets all its conditions on /path",
            ],
        ),
        (
            "{ parameter = \"/path\", starts_with = \"/a\", more_than = 5 }",
            &[
                "rule `a` matches only what cannot be compared: no text meets all its conditions on /path",
            ],
        ),
        (
            "{ parameter = \"/path\", starts_with = \"/a\" }, { parameter = \"/path\", starts_with = \"/a/b\" }",
            &[],
        ),
        (
            "{ parameter = \"/number\", starts_with = \"4\", more_than = 5 }",
            &[],
        ),
    ] {
        assert_eq!(warnings(&approve(when)), expected, "{when}");
    }
    let require = |id: &str, rest: &str| {
        format!("[[rule]]\nid = \"{id}\"\nactions = [\"Pay *\"]\neffect = \"require\"\n{rest}\n")
    };
    let of_finance = "stages = [{ from = \"finance\" }]";
    let of_security = "stages = [{ from = \"finance\" }, { from = \"security\" }]\nsign_in = true";
    let escalate = "escalate = { after = \"50%\", to = \"leads\" }";
    let escalating = require("a", &format!("{of_finance}\n{escalate}"));
    let when =
        |condition: &str| format!("when = [{{ parameter = \"/amount\", {condition} = 10 }}]");
    assert_eq!(
        warnings(&format!(
            "{escalating}{}",
            require("b", &format!("{of_security}\n{}", when("more_than")))
        )),
        [
            "rule `a` escalates also where rule `b` in line 16 matches: its people can then approve in the place of group `security`"
        ]
    );
    let says_so = require(
        "b",
        &format!("{of_security}\n{escalate}\n{}", when("more_than")),
    );
    assert_eq!(warnings(&format!("{escalating}{says_so}")), [""; 0]);
    let small = require(
        "a",
        &format!("{of_finance}\n{escalate}\n{}", when("at_most")),
    );
    let large = require("b", &format!("{of_security}\n{}", when("more_than")));
    assert_eq!(warnings(&format!("{small}{large}")), [""; 0]);
    let by_link = require("c", "stages = [{ from = \"security\" }]");
    assert_eq!(
        warnings(&by_link),
        [
            "rule `c` asks a member with a group or role of the directory, and has no `sign_in`: a substitute of theirs can decide by link"
        ]
    );
}

#[test]
fn a_rule_that_tells_a_channel_is_not_idle() {
    let rule =
        |id: &str, rest: &str| format!("[[rule]]\nid = \"{id}\"\nactions = [\"Drop *\"]\n{rest}\n");
    for effect in [
        "effect = \"deny\"",
        "effect = \"require\"\nstages = [{ from = \"finance\" }]",
    ] {
        let tell = "tell = [\"ledger\"]";
        let both = |first: &str, second: &str| {
            let first = rule("a", &format!("{effect}\n{first}"));
            let second = rule("b", &format!("{effect}\n{second}"));
            warnings(&format!("{first}{second}")).len()
        };
        assert_eq!(both("", tell), 0, "{effect}");
        assert_eq!(both(tell, tell), 1, "{effect}");
        assert_eq!(both(tell, ""), 1, "{effect}");
    }
}

#[test]
fn a_substitute_who_is_absent_too_is_a_warning_and_a_group_of_an_escalation_is_used() {
    let absence = |person: &str, substitute: &str, from: &str, until: &str| {
        format!(
            "[[absence]]\nperson = \"{person}@example.com\"\nsubstitute = \"{substitute}@example.com\"\n\
             from = {from}\nuntil = {until}\n"
        )
    };
    let rule = "[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{ from = \"finance\" }]\n\
                escalate = { after = \"50%\", to = \"security\" }\n";
    let first = absence("maria", "lena", "2026-12-01", "2026-12-10");
    for (from, until, count) in [
        ("2026-12-09", "2026-12-20", 1),
        ("2026-12-10", "2026-12-20", 0),
    ] {
        let text = format!(
            "{}{rule}{first}{}",
            GROUPS,
            absence("lena", "omar", from, until)
        );
        let warnings = parse(&text).warnings();
        assert_eq!(warnings.len(), count, "{warnings:?}");
        assert!(
            warnings
                .iter()
                .all(|it| it.message.contains("is absent for a part of this time too"))
        );
    }
}
