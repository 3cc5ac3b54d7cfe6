//! Which requests a rule matches: one rule of each effect, and one value.

use serde_json::{Value, json};

use super::{asked, parse, short};

/// What a condition says of parameters: `yes`, `no` or `unknown`, by which of the effects match.
fn judge(condition: &str, parameters: &Value) -> &'static str {
    let outcome = |effect: &str, rest: &str| {
        let policy = parse(&format!(
            "version = 1\n[groups]\ng = [\"a@example.com\"]\n[[rule]]\nid = \"r\"\neffect = \"{effect}\"\n\
             when = [{{ parameter = \"/v\", {condition} }}]\n{rest}"
        ));
        short(&policy.evaluate(&asked("act", parameters))) != "requester"
    };
    let approves = outcome("approve", "ignore = [\"\"]");
    let denies = outcome("deny", "");
    let requires = outcome("require", "stages = [{ from = \"g\" }]");
    match (approves, denies, requires) {
        (true, true, true) => "yes",
        (false, true, true) => "unknown",
        (false, false, false) => "no",
        other => panic!("{condition} {parameters}: {other:?}"),
    }
}

fn check(condition: &str, cases: &[(Value, &str)]) {
    for (value, expected) in cases {
        let found = judge(condition, &json!({ "v": value }));
        assert_eq!(found, *expected, "{condition} {value}");
    }
}

#[test]
fn numbers_are_compared_exactly_and_in_texts_too() {
    check(
        "more_than = 50",
        &[
            (json!(51), "yes"),
            (json!(50), "no"),
            (json!(50.000_001), "yes"),
            (json!(-0.0), "no"),
            (json!(1e300), "yes"),
            (json!("51"), "yes"),
            (json!("5e1"), "no"),
            (json!("1e400"), "yes"),
            (json!("-1e400"), "no"),
            (json!("50.0000000000000000000000001"), "yes"),
        ],
    );
    check(
        "at_most = 0.3",
        &[
            (json!(0.1 + 0.2), "no"),
            (json!(0.3), "yes"),
            (json!("0.3"), "yes"),
            (json!("0.30000000000000000000001"), "no"),
        ],
    );
    check(
        "is = 9007199254740993",
        &[
            (json!(9_007_199_254_740_992_i64), "no"),
            (json!("9007199254740993"), "yes"),
            (json!("9007199254740992"), "no"),
        ],
    );
    check(
        "is = 0",
        &[
            (json!(-0.0), "yes"),
            (json!("-0"), "yes"),
            (json!("0.00e5"), "yes"),
            (json!(1e-300), "no"),
        ],
    );
    check(
        "at_least = 1_000",
        &[(json!(1000), "yes"), (json!(999.99), "no")],
    );
    check(
        "less_than = 1e-2",
        &[(json!(0.01), "no"), (json!(0.009), "yes")],
    );
}

#[test]
fn what_is_no_number_or_may_be_one_is_unknown_to_a_number() {
    for value in [
        json!("1,000"),
        json!("1.000,00"),
        json!("1_000"),
        json!("１００"),
        json!("٥٠٠"),
        json!("+100"),
        json!("0100"),
        json!(" 100"),
        json!("100 EUR"),
        json!("0x64"),
        json!("100."),
        json!(".5"),
        json!("NaN"),
        json!("Infinity"),
        json!("1e99999999999999999999"),
        json!(""),
        json!(null),
        json!(true),
        json!([100]),
        json!({"amount": 100}),
    ] {
        for condition in [
            "more_than = 50",
            "at_most = 50",
            "is = 100",
            "is_not = 100",
            "none_of = [1, 2]",
        ] {
            assert_eq!(
                judge(condition, &json!({ "v": value })),
                "unknown",
                "{condition} {value}"
            );
        }
    }
}

#[test]
fn a_missing_value_and_one_of_another_type_are_unknown() {
    let all = [
        "is = \"x\"",
        "is_not = \"x\"",
        "one_of = [\"x\"]",
        "none_of = [\"x\"]",
        "starts_with = \"x\"",
        "matches = \"x\"",
        "is = true",
        "is_not = false",
    ];
    for condition in all {
        for parameters in [
            json!({}),
            json!({"v": null}),
            json!({"v": [] }),
            json!({"v": {"x": 1}}),
            json!({"v": 1}),
            json!({"V": "x"}),
            json!({"\u{ff56}": "x"}),
        ] {
            assert_eq!(
                judge(condition, &parameters),
                "unknown",
                "{condition} {parameters}"
            );
        }
    }
    check(
        "is = true",
        &[
            (json!(true), "yes"),
            (json!(false), "no"),
            (json!("true"), "unknown"),
        ],
    );
}

#[test]
fn exists_is_never_unknown_and_true_for_null() {
    for (parameters, there) in [
        (json!({"v": null}), true),
        (json!({"v": {}}), true),
        (json!({"v": false}), true),
        (json!({}), false),
        (json!({"w": 1}), false),
    ] {
        let (yes, no) = if there { ("yes", "no") } else { ("no", "yes") };
        assert_eq!(judge("exists = true", &parameters), yes, "{parameters}");
        assert_eq!(judge("exists = false", &parameters), no, "{parameters}");
    }
}

#[test]
fn a_text_is_equal_as_sent_or_unknown_if_it_reads_the_same() {
    check(
        "is = \"EUR\"",
        &[
            (json!("EUR"), "yes"),
            (json!("USD"), "no"),
            (json!(""), "no"),
            (json!("eur"), "unknown"),
            (json!(" EUR\n"), "unknown"),
            (json!("ＥＵＲ"), "unknown"),
            // Cyrillic.
            (json!("\u{415}UR"), "unknown"),
            (json!("E\u{200b}UR"), "unknown"),
            (json!("USD\u{202e}"), "unknown"),
        ],
    );
    check(
        "is_not = \"EUR\"",
        &[
            (json!("EUR"), "no"),
            (json!("USD"), "yes"),
            (json!("eur"), "unknown"),
            (json!("\u{415}UR"), "unknown"),
        ],
    );
    check(
        "one_of = [\"Straße 1\", \"a b\"]",
        &[
            (json!("STRASSE 1"), "unknown"),
            (json!("a  b"), "unknown"),
            (json!("a\tb"), "unknown"),
            (json!("ab"), "no"),
        ],
    );
    check(
        "none_of = [\"a\", \"b\"]",
        &[
            (json!("b"), "no"),
            (json!("B"), "unknown"),
            (json!("c"), "yes"),
        ],
    );
    check(
        "is = \"prod1\"",
        &[
            (json!("prod1"), "yes"),
            (json!("prodl"), "unknown"),
            (json!("PRODI"), "unknown"),
            (json!("pr0d|"), "unknown"),
            (json!("prod2"), "no"),
            (json!("prod"), "no"),
            (json!("prod11"), "no"),
        ],
    );
    check(
        "none_of = [\"Io\", \"arm\"]",
        &[
            (json!("Io"), "no"),
            (json!("10"), "unknown"),
            (json!("arrn"), "unknown"),
            (json!("11"), "yes"),
        ],
    );
    // A digit of another script reads as that of ASCII.
    check(
        "is = \"12345\"",
        &[
            (json!("١٢٣٤٥"), "unknown"),
            (json!("۱۲۳۴۵"), "unknown"),
            (json!("1२३४5"), "unknown"),
            (json!("1234५"), "unknown"),
            (json!("１２３４５"), "unknown"),
            (json!("१२३४६"), "no"),
        ],
    );
    check(
        "none_of = [\"١٢\"]",
        &[
            (json!("١٢"), "no"),
            (json!("12"), "unknown"),
            (json!("१२"), "unknown"),
            (json!("१३"), "yes"),
        ],
    );
    // A number is compared as one.
    check("is = 10", &[(json!("10"), "yes"), (json!("lO"), "unknown")]);
    check("is = 10", &[(json!(11), "no"), (json!("11"), "no")]);
    // Ordinary words of many languages have an answer.
    for word in [
        "Müller",
        "Größe",
        "naïve",
        "Łódź",
        "東京",
        "Привет",
        "Καλημέρα",
        "“x” – y",
        "🚀",
        "5 €",
    ] {
        assert_eq!(judge("is = \"EUR\"", &json!({ "v": word })), "no", "{word}");
        assert_eq!(
            judge(&format!("is = \"{word}\""), &json!({ "v": word })),
            "yes",
            "{word}"
        );
    }
}

#[test]
fn beginnings_and_expressions_match_as_sent_or_unknown() {
    check(
        "starts_with = \"/srv/data/\"",
        &[
            (json!("/srv/data/x"), "yes"),
            (json!("/srv/data"), "no"),
            (json!("/SRV/data/x"), "unknown"),
            (json!("/srv/data\u{2215}x"), "unknown"),
            (json!("  /srv/data/x"), "unknown"),
            (json!("/srv/data/1"), "yes"),
            (json!("/srv/date/"), "no"),
        ],
    );
    check(
        "starts_with = \"/live/\"",
        &[
            (json!("/live/x"), "yes"),
            (json!("/Iive/x"), "unknown"),
            (json!("/1ive/x"), "unknown"),
        ],
    );
    // An expression says itself which letters it takes.
    check("matches = \"live\"", &[(json!("/1ive/x"), "no")]);
    check(
        "matches = \"^(dev|test)-[a-z]+$\"",
        &[
            (json!("dev-api"), "yes"),
            (json!("prod-api"), "no"),
            (json!("DEV-api"), "unknown"),
            (json!("dev-api\n"), "unknown"),
            (json!("dev-api\nprod-api"), "no"),
            (json!("dev\u{2010}api"), "unknown"),
        ],
    );
    check(
        "matches = \"rm -rf\"",
        &[
            (json!("sudo rm -rf /"), "yes"),
            (json!("sudo  rm  -RF /"), "unknown"),
            (json!("ls"), "no"),
        ],
    );
    // A digit of another script may be one of ASCII, and may be none.
    check(
        "starts_with = \"1\"",
        &[(json!("१२"), "unknown"), (json!("२१"), "no")],
    );
    check(
        "matches = '^\\d{6}$'",
        &[
            (json!("123456"), "yes"),
            (json!("12345٦"), "unknown"),
            (json!("١٢٣٤٥٦"), "unknown"),
            (json!("१२३४५"), "no"),
        ],
    );
    check(
        "matches = '^[^0-9]+$'",
        &[(json!("abc"), "yes"), (json!("١٢"), "unknown")],
    );
    check("matches = '^[0-9]+$'", &[(json!("١٢"), "unknown")]);
    check(
        "matches = '^.+ [a-z]+$'",
        &[(json!("١٢ abc"), "yes"), (json!("١٢ ab1"), "no")],
    );
    check(
        "matches = '^[٠-٩]{2}$'",
        &[(json!("١٢"), "yes"), (json!("12"), "no")],
    );
    let long = "a".repeat(10_000);
    check("matches = \"b\"", &[(json!(long), "unknown")]);
}

#[test]
fn pointers_follow_rfc_6901() {
    let found = |pointer: &str, parameters: Value| {
        let policy = parse(&format!(
            "version = 1\n[[rule]]\nid = \"r\"\neffect = \"deny\"\nwhen = [{{ parameter = '{pointer}', exists = true }}]"
        ));
        short(&policy.evaluate(&asked("act", &parameters))) == "deny r"
    };
    assert!(found("/a~1b/m~0n", json!({"a/b": {"m~n": 1}})));
    assert!(found("/~01", json!({"~1": 1})));
    assert!(found("/items/0/x", json!({"items": [{"x": 1}]})));
    assert!(found("/items/10", json!({"items": vec![0; 11]})));
    assert!(found("/", json!({"": 1})));
    assert!(found("/a//b", json!({"a": {"": {"b": 1}}})));
    assert!(found("/01", json!({"01": 1})));
    for (pointer, parameters) in [
        ("/items/01", json!({"items": [1, 2]})),
        ("/items/+0", json!({"items": [1]})),
        ("/items/2", json!({"items": [1, 2]})),
        ("/items/x", json!({"items": [1]})),
        ("/items/99999999999999999999", json!({"items": [1]})),
        ("/a/b", json!({"a": "b"})),
        ("/a.b", json!({"a": {"b": 1}})),
    ] {
        assert!(!found(pointer, parameters), "{pointer}");
    }
}

#[test]
fn several_conditions_hold_together() {
    let policy = parse(
        r#"
version = 1
[[rule]]
id = "r"
effect = "deny"
when = [{ parameter = "/a", at_least = 1, at_most = 5 }, { parameter = "/b", is = "x" }]
"#,
    );
    for (parameters, denied) in [
        (json!({"a": 3, "b": "x"}), true),
        (json!({"a": 6, "b": "x"}), false),
        // Unknown and true is unknown, unknown and false is false.
        (json!({"b": "x"}), true),
        (json!({"a": 6}), false),
        (json!({}), true),
    ] {
        let effect = short(&policy.evaluate(&asked("act", &parameters)));
        assert_eq!(effect == "deny r", denied, "{parameters}");
    }
}

/// A `*` between two spaces, or at an end, can stand for nothing: the space that is left reads the same as two or none.
#[test]
fn a_pattern_may_match_an_action_in_which_its_asterisk_is_nothing() {
    let judge = |pattern: &str, action: &str| {
        let applies = |effect: &str, rest: &str| {
            let policy = parse(&format!(
                "version = 1\n[[rule]]\nid = \"r\"\nactions = [\"{pattern}\"]\neffect = \"{effect}\"\n{rest}"
            ));
            short(&policy.evaluate(&asked(action, &json!({})))) != "requester"
        };
        (applies("approve", "ignore = [\"\"]"), applies("deny", ""))
    };
    let (yes, unknown, no) = ((true, true), (false, true), (false, false));
    for (pattern, action, expected) in [
        ("delete * user", "delete a user", yes),
        ("delete * user", "delete  user", yes),
        ("delete * user", "delete user", unknown),
        ("delete * user", "Delete\u{a0}user", unknown),
        ("delete * user", "delete superuser", no),
        ("delete * user", "deleteuser", no),
        ("delete * * user", "delete user", unknown),
        ("delete * * user", "delete a user", unknown),
        ("delete all * user", "delete all user", unknown),
        ("delete all * user", "deleteall user", no),
        ("delete *", "delete", unknown),
        ("delete *", "deletes", no),
        ("* user", "user", unknown),
        ("* user", "superuser", no),
        ("delete*user", "delete user", yes),
    ] {
        assert_eq!(judge(pattern, action), expected, "{pattern} {action}");
    }
}
