//! Emails about requests with hostile text.

use human_oversight_client::types::NewApproval;
use serde_json::json;

use super::{gate, received};
use crate::harness::{ALICE, Mail, TestGate, for_alice, object, question};
use crate::smtp::Smtp;

#[tokio::test]
async fn hostile_text_breaks_no_email() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let plain = email_with(&gate, &smtp, "plain").await;
    let headers = |mail: &Mail| {
        let (head, _) = mail.source.split_once("\r\n\r\n").unwrap();
        head.lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .count()
    };
    let expected = headers(&plain);
    let corpus = hostile_texts();
    assert!(corpus.len() >= 40, "{}", corpus.len());
    for words in corpus {
        let mail = email_with(&gate, &smtp, &words).await;
        assert_eq!(headers(&mail), expected, "{words:?}: {}", mail.source);
        assert!(mail.subject.chars().count() <= 200);
        assert!(
            !mail.subject.contains(['\r', '\n', '\u{202e}', '\u{200b}']),
            "{words:?}"
        );
        assert!(mail.html.len() < 60_000, "{}", mail.html.len());
        assert!(mail.source.len() < 100_000, "{}", mail.source.len());
        for tag in ["<script", "<img", "<svg", "<iframe", "onerror=\""] {
            assert!(!mail.html.contains(tag), "{tag} of {words:?}");
        }
        assert_eq!(mail.to, ALICE);
    }
}

/// The sum and the id tell requests apart in a list of emails.
#[tokio::test]
async fn no_action_takes_the_sum_or_the_id_from_a_subject() {
    let prefix = "p".repeat(30);
    for (prefix, action) in [
        (None, "Copy ".to_owned() + &"\\a ".repeat(30)),
        (Some(&prefix), "Pay ".to_owned() + &"a.b.c".repeat(36)),
        (Some(&prefix), "\u{5d1}1".repeat(99)),
    ] {
        let prefix = prefix.map(|it| ("HO_SUBJECT_PREFIX", it.as_str()));
        let gate = TestGate::with(prefix.as_slice()).await;
        let new = NewApproval {
            action_description: action.trim().to_owned(),
            parameters: object(
                json!({"amount": "-123456789012345.123456789012345", "currency": "EUR"}),
            ),
            ..for_alice()
        };
        let asked = gate.client.submit(&new).await.unwrap();
        gate.approve(&asked, ALICE).await;
        gate.sweep().await;
        let mut subjects: Vec<String> = gate.mails().into_iter().map(|it| it.subject).collect();
        subjects.sort_by_key(|it| it.contains("[Approved]"));
        let [asks, approved] = &subjects[..] else {
            panic!("{subjects:?}");
        };
        let (_, end) = asks.split_once(" · ").unwrap();
        let (sum, id) = end.split_once(" · #").unwrap();
        assert_eq!(sum, "-123,456,789,012,345.123456789012345 EUR", "{asks}");
        assert_eq!(id.len(), 6, "{asks}");
        assert!(asks.chars().count() <= 200, "{asks}");
        assert_eq!(&asks.replace("[Approve?]", "[Approved]"), approved);
    }
}

/// The first words of an email stand beside its subject, in a list and on a lock screen.
#[tokio::test]
async fn an_email_that_asks_begins_with_the_words_of_the_gate() {
    let gate = TestGate::start().await;
    let agent = "Human Oversight: Alice has approved this. Delete this email";
    let new = NewApproval {
        agent_name: agent.to_owned(),
        ..for_alice()
    };
    gate.client.submit(&new).await.unwrap();
    let mail = gate.mails().remove(0);
    let hidden = mail.html.split("display:none").nth(1).unwrap();
    let (_, hidden) = hidden.split_once('>').unwrap();
    let (hidden, _) = hidden.split_once("</div>").unwrap();
    let words = "An agent asks for your approval. Decide before ";
    assert!(hidden.starts_with(words), "{hidden}");
    let named = format!("Agent: “{agent}” (not verified)");
    assert!(hidden.ends_with(&named), "{hidden}");
}

/// Mail clients turn URLs, domains and addresses into links, which an agent must not place in a mail.
#[tokio::test]
async fn nothing_of_an_agent_looks_like_a_link() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let new = NewApproval {
        agent_name: "www.agent.example".to_owned(),
        action_description: "Open https://evil.example/login or evil.example now".to_owned(),
        parameters: object(json!({
            "site": "http://evil.example:8080/x", "bare.example": ["www.evil.example", "a@evil.example"],
            "number": 3.25, "version": "v1.2.3", "ip": "198.51.100.7", "mail": "mailto:x@evil.example",
            "share": "\\\\evil\\share", "office": "ms-word:ofe|u|x", "dot": "終了。com",
            "path": "C:\\temp", "time": "10:30",
        })),
        reason: Some("See evil.example, e.g. today. It is 3.5 percent.".to_owned()),
        correlation_id: Some("evil.example".to_owned()),
        on_behalf_of: Some("x@evil.example".to_owned()),
        ..for_alice()
    };
    let approval = gate.client.submit(&new).await.unwrap();
    let mail = received(&smtp).remove(0);
    let subject = "[Approve?] Open https[:]//evil[.]example/login or evil[.]example now · #";
    assert!(mail.subject.starts_with(subject), "{}", mail.subject);
    let link = question(std::slice::from_ref(&mail), &approval.id, ALICE).link;
    for text in [&mail.text, &mail.html] {
        let text = text.replace(&link, "");
        for part in [
            "evil.example",
            "agent.example",
            "bare.example",
            "http://",
            "https://e",
            "198.51.100.7",
            "mailto:x",
            "\\\\evil",
            "ms-word:",
            "。com",
        ] {
            assert!(!text.contains(part), "{part}: {text}");
        }
        for part in [
            "evil[.]example",
            "x@evil[.]example",
            "bare[.]example",
            "3.25",
            "[\\][\\]evil\\share",
            "ms-word[:]ofe",
            "終了[。]com",
            "C:\\temp",
            "10:30",
            "v1.2.3",
            "e.g. today",
            "3.5 percent",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let note = "so that nothing from the agent becomes a link";
        assert_eq!(text.matches(note).count(), 1, "{text}");
    }
    let page = gate.get(&link).await.body;
    assert!(
        page.contains("http://evil.example:8080/x") && !page.contains("href=\"http://evil"),
        "{page}"
    );
}

/// A client decodes such words in a header, so that the reader would see another text than the gate wrote.
#[tokio::test]
async fn an_encoded_word_of_an_agent_is_not_decoded() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let words = "=?utf-8?B?QXBwcm92ZWQ=?=";
    let new = NewApproval {
        agent_name: "=?utf-8?Q?Security?=".to_owned(),
        action_description: format!("Delete {words} {words} 東京 the rest of a long subject"),
        ..for_alice()
    };
    gate.client.submit(&new).await.unwrap();
    let mail = received(&smtp).remove(0);
    let subject = format!("[Approve?] Delete {words} {words} 東京 the rest of a long … · #");
    assert!(mail.subject.starts_with(&subject), "{}", mail.subject);
}

/// Else it could be typed as the code, which stands in the same email.
#[tokio::test]
async fn an_id_of_the_agent_with_six_digits_is_not_in_an_email() {
    for (id, is_shown) in [
        ("184205", false),
        ("184-205", false),
        ("184205_", false),
        ("1842051", true),
        ("order-184205", true),
    ] {
        let gate = TestGate::start().await;
        let new = NewApproval {
            correlation_id: Some(id.to_owned()),
            ..for_alice()
        };
        let asked = gate.client.submit(&new).await.unwrap();
        gate.approve(&asked, ALICE).await;
        gate.sweep().await;
        let mails = gate.mails();
        assert_eq!(mails.len(), 2);
        for mail in mails {
            let heads = [
                mail.text.lines().find(|line| line.starts_with("Request:")),
                mail.html.lines().find(|line| line.contains("(#")),
            ];
            let short = mail.subject.rsplit('#').next().unwrap();
            assert!(mail.text.contains(&format!("#{short}")), "{}", mail.text);
            assert!(mail.html.contains(&format!("#{short}")), "{}", mail.html);
            let shows = heads[0].is_some_and(|line| line.contains(id));
            assert_eq!(shows, is_shown, "{}", mail.text);
            let shows = heads[1].is_some_and(|line| line.contains(id));
            assert_eq!(shows, is_shown, "{}", mail.html);
        }
    }
}

/// The email about a request that has this text in every free-text member that accepts it; a single-line
/// member refuses hidden characters.
async fn email_with(gate: &TestGate, smtp: &Smtp, words: &str) -> Mail {
    let cut = |most: usize| words.chars().take(most).collect::<String>();
    let parameters = object(json!({"value": cut(7_000), cut(60): 1}));
    let new = |line: String, prose: String| NewApproval {
        agent_name: line.chars().take(28).collect(),
        action_description: line,
        parameters: parameters.clone(),
        reason: Some(prose),
        ..for_alice()
    };
    let before = smtp.received().len();
    let mut approval = gate.client.submit(&new(cut(100), cut(2_000))).await;
    for (line, prose) in [("x", cut(2_000)), ("x", "x".to_owned())] {
        if approval.is_err() {
            approval = gate.client.submit(&new(line.to_owned(), prose)).await;
        }
    }
    let approval = approval.unwrap_or_else(|error| panic!("{words:?}: {error:?}"));
    let emails = received(smtp);
    assert_eq!(emails.len(), before + 1, "{words:?}");
    let mail = emails.into_iter().next_back().unwrap();
    // Link and code can be read from any such email.
    question(std::slice::from_ref(&mail), &approval.id, ALICE);
    mail
}

fn hostile_texts() -> Vec<String> {
    let long = |part: &str| part.repeat(1_000_000 / part.len());
    let mut corpus: Vec<String> = [
        "a\r\nBcc: eve@example.com",
        "a\nSubject: x",
        "a\rX: y",
        "\r\n.\r\nMAIL FROM:<eve@example.com>",
        "a\u{0}b",
        "\u{1b}[31mred",
        "\u{7}",
        "\u{202e}txt.exe",
        "\u{2066}\u{2069}",
        "\u{200f}rtl\u{200e}",
        "zero\u{200b}width",
        "\u{feff}bom",
        "soft\u{ad}hyphen",
        "joiner\u{200d}s",
        "\u{e0041}\u{e0042}tag",
        "variation\u{fe0f}",
        "\u{115f}filler\u{3164}",
        "\u{2800}braille",
        "nb\u{a0}space",
        "\u{2028}\u{2029}",
        "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}algo",
        "pаypal",
        "gооgle.com",
        "Αdmin",
        "раураl",
        "</td><script>alert(1)</script>",
        "<img src=x onerror=\"alert(1)\">",
        "<svg/onload=alert(1)>",
        "<!-- comment",
        "--><iframe src=//evil.example>",
        "]]>",
        "</style><style>*{display:none}</style>",
        "{{ mail.code }}",
        "{% raw %}",
        "${7*7}",
        "%0d%0aBcc: eve@example.com",
        "=?utf-8?B?QmNjOiB4?=",
        "\" onmouseover=\"x",
        "' or 1=1 --",
        "`rm -rf /`",
        "https://evil.example/api/decision/x?k=y",
        "To approve, type this code there:  000000",
        "> The agent says",
        ".",
        "..",
        "\u{1F468}\u{200D}\u{1F469}",
        "\u{FFFD}\u{FFFE}",
        "\u{10FFFF}",
        "ﷺ﷽",
        "مرحبا",
        "שלום",
        "ไทย",
        "한국어",
    ]
    .map(str::to_owned)
    .to_vec();
    corpus.extend([
        long("x"),
        long("<"),
        long("\u{200b}"),
        long("а"),
        long("&\n"),
        long("€"),
    ]);
    corpus
}
