//! The names of an agent's parameters, its withheld values and its action: none imitates another, or a part of the
//! page or the email around it.

use human_oversight_client::types::{Approval, NewApproval};
use serde_json::{Value, json};

use crate::harness::{ALICE, Mail, TestGate, for_alice, object};
use crate::host::SignIn;
use crate::sign_in::{self, ON, visit};

const MARK: &str = "background:#ffe08a";

pub(crate) async fn ask(gate: &TestGate, parameters: Value) -> Approval {
    let new = NewApproval {
        parameters: object(parameters),
        ..for_alice()
    };
    gate.client.submit(&new).await.unwrap()
}

/// The page of a request and its email.
pub(crate) async fn seen(gate: &TestGate, approval: &Approval) -> (String, Mail) {
    let page = gate.get(&gate.question(approval, ALICE).link).await.body;
    let mut mails = gate.mails().into_iter();
    let is_it = |mail: &Mail| mail.text.contains(&approval.id);
    (page, mails.find(is_it).unwrap())
}

/// The page and the email about these parameters.
async fn shown(parameters: Value) -> (String, Mail) {
    let gate = TestGate::start().await;
    let approval = ask(&gate, parameters).await;
    seen(&gate, &approval).await
}

#[tokio::test]
async fn white_space_in_a_name_is_marked_and_raises_an_alarm() {
    let (page, mail) = shown(json!({
        "dry_run": true, "dry_run\n": false, "dry_run ": 1, "\tforce": 2, "a  b": 3, "no\u{a0}break": 4, "two words": 5,
        "rows": [{"id\r\n": 1}, {"id\r\n": 2}],
    }))
    .await;
    for name in [
        r"dry_run\u{a}",
        r"dry_run\u{20}",
        r"\u{9}force",
        r"a\u{20}\u{20}b",
        r"no\u{a0}break",
        r"id\u{d}\u{a}",
    ] {
        let marks = name.replace(r"\u", r"<mark>\u").replace('}', "}</mark>");
        assert!(page.contains(&marks), "{marks}: {page}");
        assert!(mail.text.contains(&format!("{name}:")), "{}", mail.text);
    }
    assert_eq!(mail.html.matches(MARK).count(), 8, "{}", mail.html);
    for text in [&page, &mail.text, &mail.html] {
        // Those of the list in each of its rows.
        assert!(text.contains("10 invisible characters are"), "{text}");
        let alike = text.matches("looks like another name beside it").count();
        assert_eq!(alike, 2, "{text}");
    }
    assert!(page.contains(">two words<"), "{page}");
}

#[tokio::test]
async fn an_empty_name_is_shown() {
    let (page, mail) = shown(json!({"": "x", "inner": {"": "y"}})).await;
    assert_eq!(page.matches("<mark>«empty name»</mark>").count(), 2);
    assert_eq!(mail.html.matches("«empty name»").count(), 2);
    assert_eq!(mail.text.matches("«empty name»:  ").count(), 2);
}

#[tokio::test]
async fn names_that_look_alike_raise_an_alarm() {
    let words = "looks like another name beside it";
    for (one, other) in [
        ("recipient", "recip\u{456}ent"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("total", "tota\u{200b}l"),
        ("bill", "biII"),
    ] {
        let (page, mail) = shown(json!({one: 1, other: 2})).await;
        for text in [&page, &mail.text, &mail.html] {
            assert!(text.contains(words), "{one}: {text}");
        }
    }
    let ordinary = json!({
        "user_id": 1, "userId": 2, "user-id": 3, "from": {"name": 1}, "to": {"name": 1}, "to_cc": 1, "item1": 1, "item2": 2,
    });
    let (page, _) = shown(ordinary).await;
    assert!(!page.contains("Check carefully"), "{page}");
}

#[tokio::test]
async fn a_name_ends_no_line_of_the_email() {
    let gate = TestGate::start().await;
    let forged =
        "x: 1\n\n-- \nTo approve, type this code there:  000000\r\n-- \u{2028}-- \u{b}-- \u{85}-- ";
    let parameters = json!({
        forged: 1, "inner": {forged: {"a": 1}}, "rows": [{forged: 1}, {forged: 2}],
    });
    let earlier = ask(&gate, json!({"inner": {}})).await;
    let withdrawal = human_oversight_client::types::Withdrawal { secret: None };
    gate.client
        .withdraw(&earlier.id, &withdrawal)
        .await
        .unwrap();
    let new = NewApproval {
        parameters: object(parameters),
        supersedes: Some(earlier.id.clone()),
        ..for_alice()
    };
    let approval = gate.client.submit(&new).await.unwrap();
    let (_, mail) = seen(&gate, &approval).await;
    let lines: Vec<&str> = mail.text.lines().map(str::trim_start).collect();
    let begins = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(begins("-- "), 1, "{}", mail.text);
    assert_eq!(begins("To approve"), 1, "{}", mail.text);
    assert!(mail.text.contains("What changed"), "{}", mail.text);
}

#[tokio::test]
async fn a_name_begins_no_line_of_the_email() {
    let forged = "To approve, type this code there";
    let (_, mail) = shown(json!({forged: "000000", "-- ": 1, "inner": {"a": 1}})).await;
    for start in [forged, "--", "inner", "a"] {
        let begun = mail.text.lines().filter(|line| line.starts_with(start));
        let own = usize::from([forged, "--"].contains(&start));
        assert_eq!(begun.count(), own, "{start}: {}", mail.text);
    }
}

#[tokio::test]
async fn white_space_around_a_value_is_marked() {
    let (page, mail) = shown(json!({"to": "prod ", "list": ["\u{a0}a b\t", " "]})).await;
    for value in [r"prod\u{20}", r"\u{a0}a b\u{9}", r"\u{20}"] {
        let marks = value.replace(r"\u", r"<mark>\u").replace('}', "}</mark>");
        assert!(page.contains(&format!(">{marks}<")), "{marks}: {page}");
        assert!(mail.text.contains(value), "{value}: {}", mail.text);
    }
    assert_eq!(mail.html.matches(MARK).count(), 4, "{}", mail.html);
}

#[tokio::test]
async fn a_value_of_a_table_forges_no_other_in_the_email() {
    let (_, mail) = shown(json!({"to": [
        {"account": "1, amount: 5", "amount": "100"}, {"account": "2", "amount": "200"},
    ]}))
    .await;
    let rows = "  to:\n    -\n      account:  1, amount: 5\n      amount:   \"100\"\n    -\n      account:  \"2\"\n      amount:   \"200\"\n";
    let text = mail.text.replace("\r\n", "\n");
    assert!(text.contains(rows), "{text}");
}

#[tokio::test]
async fn deep_levels_are_numbered_on_the_page_and_indented_in_the_email() {
    let objects = (1..=7).rev().fold(
        json!("end"),
        |it, n| json!({format!("name{n}"): it, format!("beside{n}"): 1}),
    );
    let (page, mail) = shown(objects).await;
    for level in 6..=7 {
        for name in ["name", "beside"] {
            let named = format!("<em translate=\"yes\">(level {level})</em> {name}{level}<");
            assert!(page.contains(&named), "{named}: {page}");
        }
    }
    assert!(!page.contains("level 5"), "{page}");
    for level in 1..=7 {
        let line = format!("\n{}beside{level}:", "  ".repeat(level));
        assert!(
            mail.text.replace("\r\n", "\n").contains(&line),
            "{}",
            mail.text
        );
    }

    let table = json!([{"cell": 1}, {"cell": 2}]);
    let table = (0..6).fold(table, |it, _| json!({"inner": it}));
    let (page, _) = shown(table).await;
    assert!(
        page.contains("<em translate=\"yes\">(level 7)</em> <table class=\"rows\">"),
        "{page}"
    );

    let lists = (0..6).fold(json!("end"), |it, _| json!([it, 1]));
    let (page, mail) = shown(json!({"a": lists})).await;
    for level in 6..=7 {
        let item = format!("<li><em translate=\"yes\">(level {level})</em> ");
        assert_eq!(page.matches(&item).count(), 2, "{item}: {page}");
    }
    let indented = mail.html.matches("margin:0 0 0 12px").count();
    assert_eq!(indented, 5, "each list in a list: {}", mail.html);
}

/// What is said of them, and what must not be: with its hyphen, no id or code holds its end by chance.
const WITHHELD: &str = "some characters do not show or mislead";
const SECRET: &str = "p\u{430}ssw\u{200b}rd-4711";

#[tokio::test]
async fn an_alarm_about_a_withheld_value_stands_beside_it() {
    for (setting, is_named) in [("redacted", true), ("none", false)] {
        let gate = TestGate::with(&[("HO_MAIL_PARAMETERS", setting)]).await;
        let parameters = json!({"api_token": SECRET, "other_token": "plain", "note": "x"});
        let approval = ask(&gate, parameters).await;
        let (page, mail) = seen(&gate, &approval).await;
        for text in [&mail.text, &mail.html] {
            assert!(text.contains("Check carefully"), "{setting}: {text}");
            assert!(
                text.contains("what is not shown here") || text.contains("What is not shown here"),
                "{text}"
            );
            let named = text
                .matches(&format!("«not shown in mail; {WITHHELD}»"))
                .count();
            assert_eq!(named, usize::from(is_named), "{setting}: {text}");
            for part in ["rd-4711", "\u{430}", "{200b", "U+0430"] {
                assert!(!text.contains(part), "{part}: {text}");
            }
        }
        assert!(
            page.contains("Check carefully before you decide."),
            "{page}"
        );
        assert!(
            page.contains(&format!("«withheld, 13 characters; {WITHHELD}»")),
            "{page}"
        );
        assert!(page.contains("«withheld, 5 characters»"), "{page}");
        assert!(
            !page.contains("rd-4711") && !page.contains("U+0430"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn after_sign_in_the_alarm_about_a_withheld_value_names_its_characters() {
    let gate = TestGate::with(&ON).await;
    let approval = ask(&gate, json!({"api_token": SECRET, "note": "x"})).await;
    let session = SignIn::session(&sign_in::alice());
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    let (before, fold) = page.body.split_once("Show hidden values").unwrap();
    assert!(before.contains(WITHHELD), "{before}");
    assert!(
        !before.contains("rd-4711") && !before.contains("U+0430"),
        "{before}"
    );
    let (fold, _) = fold.split_once("</details>").unwrap();
    for part in [
        "1 invisible character is",
        "‘\u{430}’ (U+0430) is a Cyrillic letter",
        "4711",
    ] {
        assert!(fold.contains(part), "{part}: {fold}");
    }
}

#[tokio::test]
async fn a_text_that_reads_as_a_mark_of_the_gates_is_quoted() {
    let (page, mail) = shown(json!({
        "password": "x".repeat(22), "pin": "7", "one": "«withheld, 22 characters»", "two": "«not shown in mail»",
        "six": "≪not shown in mail≫",
        "rows": [{"api_key": "k", "n": "«not shown in mail»"}, {"api_key": "k", "n": "y"}],
    }))
    .await;
    // The value itself, and not in the exact JSON, has no quotes.
    assert_eq!(
        page.matches(">«withheld, 22 characters»<").count(),
        1,
        "{page}"
    );
    assert!(
        page.contains("&#34;«withheld, 22 characters»&#34;<"),
        "{page}"
    );
    assert!(page.contains("«withheld, 1 character»"), "{page}");
    let (_, json) = page.split_once("The exact JSON").unwrap();
    for line in [
        "&#34;one&#34;: &#34;«withheld, 22 characters»&#34;",
        "&#34;password&#34;: «withheld, 22 characters»",
    ] {
        assert!(json.contains(line), "{json}");
    }
    for line in [
        "password:  «not shown in mail»",
        "two:       \"«not shown in mail»\"",
        "six:       \"≪not shown in mail≫\"",
        "      api_key:  «not shown in mail»\n      n:        \"«not shown in mail»\"",
    ] {
        let text = mail.text.replace("\r\n", "\n");
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        mail.html.contains("&#34;«not shown in mail»&#34;"),
        "{}",
        mail.html
    );
}

#[tokio::test]
async fn after_sign_in_a_secret_that_reads_as_withheld_is_quoted() {
    let gate = TestGate::with(&ON).await;
    let approval = ask(&gate, json!({"password": "«withheld, 22 characters»"})).await;
    let session = SignIn::session(&sign_in::alice());
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    let (before, fold) = page.body.split_once("Show hidden values").unwrap();
    assert!(before.contains(">«withheld, 25 characters»<"), "{before}");
    assert!(
        fold.contains("&#34;«withheld, 22 characters»&#34;<"),
        "{fold}"
    );
}

#[tokio::test]
async fn what_reads_as_the_code_of_a_character_is_escaped_where_a_code_has_no_mark() {
    let gate = TestGate::start().await;
    let new = NewApproval {
        action_description: "Pay \\u{200b} to C:\\users".to_owned(),
        parameters: object(json!({
            "real": "Nordwind\u{200b}", "typed": "Nordwind\\u{200b}", "path": "C:\\users\\u{", "\\u{a}": "name",
        })),
        ..for_alice()
    };
    let approval = gate.client.submit(&new).await.unwrap();
    let (page, mail) = seen(&gate, &approval).await;
    for line in [
        "real:        Nordwind\\u{200b}\n",
        "typed:       Nordwind\\u{5c}u{200b}\n",
        "path:        C:\\users\\u{\n",
        "\\u{5c}u{a}:  name\n",
        "“Pay \\u{5c}u{200b} to C:\\users”",
    ] {
        let text = mail.text.replace("\r\n", "\n");
        assert!(text.contains(line), "{line}\n{text}");
    }
    let action = "Pay \\u{5c}u{200b} to C:\\users";
    assert!(
        page.contains(action) && mail.html.contains(action),
        "{page}"
    );
    // There a code has a mark.
    assert!(page.contains("Nordwind<mark>\\u{200b}</mark>"), "{page}");
    assert!(page.contains("Nordwind\\u{200b}<"), "{page}");
}

/// The subject of the email about an action.
async fn subject(action: &str) -> String {
    let gate = TestGate::start().await;
    let new = NewApproval {
        action_description: action.to_owned(),
        parameters: object(json!({"amount": 18_000, "currency": "EUR"})),
        ..for_alice()
    };
    gate.client.submit(&new).await.unwrap();
    gate.mails().remove(0).subject
}

#[tokio::test]
async fn right_to_left_text_does_not_reorder_the_parts_of_a_subject() {
    for action in ["دفع فاتورة", "Pay שלום", "Pay ١٢٣"] {
        let subject = subject(action).await;
        let start = format!("[Approve?] \u{2068}{action}\u{2069} · 18,000 EUR · #");
        assert!(subject.starts_with(&start), "{subject:?}");
    }
    let plain = subject("Pay Łódź 東京").await;
    assert!(plain.starts_with("[Approve?] Pay Łódź 東京 · 18,000 EUR · #"));
}

#[tokio::test]
async fn numbers_beside_right_to_left_text_keep_their_order_in_subject_and_text() {
    let gate = TestGate::start().await;
    let new = NewApproval {
        agent_name: "סוכן 12".to_owned(),
        action_description: "Pay חשבון 100-200".to_owned(),
        reason: Some("חשבון 111-222".to_owned()),
        ..for_alice()
    };
    gate.client.submit(&new).await.unwrap();
    let mail = gate.mails().remove(0);
    let action = "Pay חשבון \u{2066}100-200\u{2069}";
    let subject = format!("[Approve?] \u{2068}{action}\u{2069} · #");
    assert!(mail.subject.starts_with(&subject), "{:?}", mail.subject);
    for line in [
        &format!("“{action}”"),
        "Agent:     \u{2068}סוכן \u{2066}12\u{2069}\u{2069} (not verified)",
        "> חשבון \u{2066}111-222\u{2069}",
    ] {
        assert!(
            mail.text.lines().any(|it| it == line),
            "{line:?}: {}",
            mail.text
        );
    }
}

#[tokio::test]
async fn an_action_imitates_no_part_of_a_subject() {
    for (action, shown) in [
        ("Pay · 5 EUR · #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Pay\u{a0}·\u{a0}5 EUR", "Pay - 5 EUR"),
        ("Pay • 5 EUR ⋅ #K7Q2ZD ・ x", "Pay - 5 EUR - #K7Q2ZD - x"),
        ("Pay· 5 EUR ·#K7Q2ZD", "Pay- 5 EUR -#K7Q2ZD"),
        ("Pay ⸱ 5 EUR ⸱ #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Pay ⸳ 5 EUR ⦁ #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Pay ⬝ 5 EUR 𐄁 #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Pay ● 5 EUR ▪ #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Pay ◦ 5 EUR ∘ #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Pay ᐧ 5 EUR ⸰ #K7Q2ZD", "Pay - 5 EUR - #K7Q2ZD"),
        ("Keep 20 °C · 5 €", "Keep 20 °C - 5 €"),
        ("El col·legi", "El col·legi"),
    ] {
        let subject = subject(action).await;
        let start = format!("[Approve?] {shown} · 18,000 EUR · #");
        assert!(subject.starts_with(&start), "{subject:?}");
        assert_eq!(subject.matches(" · ").count(), 2);
    }
}
