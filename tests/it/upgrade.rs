//! `human-oversight check --upgrade`, and the settings with which production no longer starts.

use human_oversight::config::Config;
use human_oversight::keys::keyring;

use crate::process::run;

#[tokio::test]
async fn a_wildcard_with_links_starts_only_where_the_operator_accepts_it() {
    let (link, receipt) = (
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    );
    let read = |list: &str, more: &[(&str, &str)]| {
        let settings = [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "4711"),
            ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
            ("HO_BASE_URL", "https://gate.example.com"),
            ("HO_ALLOWED_APPROVERS", list),
            ("HO_LINK_KEYS", &link),
            ("HO_RECEIPT_KEYS", &receipt),
            ("HO_STORE", "tables"),
            (
                "HO_TABLES_ENDPOINT",
                "https://store1.table.core.windows.net",
            ),
            ("HO_MAIL", "smtp"),
            ("HO_SMTP_URL", "smtps://relay.example.com"),
            ("HO_MAIL_FROM", "gate@example.com"),
        ];
        Config::read(|name| {
            let mut all = more.iter().chain(&settings);
            let value = all.find(|(setting, _)| *setting == name);
            value.map(|(_, value)| (*value).to_owned())
        })
    };
    let tenant = ("HO_ENTRA_TENANT", "11111111-2222-3333-4444-555555555555");
    let on = ("WEBSITE_AUTH_ENABLED", "True");
    let wildcard = "alice@example.com,*@example.com";
    // With HO_REQUIRE_ENTRA_FOR the agent's words select who must sign in.
    for more in [
        [].as_slice(),
        &[("HO_REQUIRE_ENTRA_FOR", "Delete *"), tenant, on],
    ] {
        let error = read(wildcard, more).unwrap_err().to_string();
        assert!(
            error.starts_with("HO_ALLOWED_APPROVERS cannot be used: ")
                && error.contains("name the addresses")
                && error.contains("HO_ALLOW_WILDCARD_LINKS=1"),
            "{error}"
        );
    }
    for (list, more) in [
        ("alice@example.com", [].as_slice()),
        (wildcard, &[("HO_ALLOW_WILDCARD_LINKS", "1")]),
        (wildcard, &[("HO_IDENTITY", "entra"), tenant, on]),
        (wildcard, &[("HO_LOCAL", "1")]),
    ] {
        read(list, more).unwrap_or_else(|error| panic!("{list} {more:?}: {error}"));
    }
}

#[tokio::test]
async fn the_check_says_what_changes_with_the_upgrade() {
    let check = ["check", "--upgrade"];
    let wildcard = ("HO_ALLOWED_APPROVERS", "*@example.com");
    let keys = format!("{}=UserManagerAgent", "07".repeat(32));
    for settings in [
        [].as_slice(),
        &[("HO_ALLOWED_APPROVERS", "alice@example.com")],
        &[wildcard, ("HO_ALLOW_WILDCARD_LINKS", "1")],
        &[wildcard, ("HO_IDENTITY", "entra")],
        &[wildcard, ("HO_LOCAL", "1")],
    ] {
        let set = [
            ("HO_RUN_WITHIN", "3600"),
            ("HO_AGENT_KEYS", keys.as_str()),
            ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ];
        let (output, code) = run(&[settings, &set].concat(), &check).await;
        assert_eq!(code, 0, "{settings:?}: {output}");
        assert_eq!(
            output,
            "These settings need no change. What else has changed is in docs/upgrading.md.\n"
        );
    }
    let (output, code) = run(&[], &check).await;
    assert_eq!(code, 1, "{output}");
    for words in [
        "HO_RUN_WITHIN=3600",
        "replacing a key leaves its open requests",
        "does not start without a schedule that the host can read",
    ] {
        assert!(output.contains(words), "{output}");
    }
    let (output, code) = run(&[wildcard], &check).await;
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("no longer starts") && output.contains("HO_ALLOW_WILDCARD_LINKS=1"),
        "{output}"
    );
    let joined = format!("{keys},{}=Refunds", "07".repeat(32));
    let joined = [("HO_RUN_WITHIN", "3600"), ("HO_AGENT_KEYS", &*joined)];
    let (output, code) = run(&joined, &check).await;
    assert!(
        code == 1 && output.contains("share one budget") && !output.contains("0707"),
        "{output}"
    );
    for (more, words) in [
        (
            format!("{keys},{}=Refund*", "08".repeat(32)),
            "All agents with such names are one owner",
        ),
        (
            format!("{keys},{}=UserManagerAgent", "08".repeat(32)),
            "These keys are one owner",
        ),
    ] {
        let settings = [
            ("HO_RUN_WITHIN", "3600"),
            ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
            ("HO_AGENT_KEYS", &*more),
        ];
        let (output, code) = run(&settings, &check).await;
        assert!(code == 1 && output.contains(words), "{output}");
        assert!(output.lines().count() == 2, "{output}");
        assert!(
            !output.contains("0808") && !output.contains("Agent\n"),
            "{output}"
        );
    }
    let route = ("HO_ALLOWED_APPROVERS", "a=b@example.com");
    let (output, code) = run(&[route], &check).await;
    assert!(
        code == 1 && output.contains("does not start with this list") && !output.contains("a=b"),
        "{output}"
    );
    for (name, value) in [
        ("HO_ALLOWED_APPROVERS", "topsecret"),
        ("HO_AGENT_KEYS", "topsecret"),
    ] {
        let (output, code) = run(&[(name, value)], &check).await;
        let words = format!("{name} cannot be used");
        assert!(code == 2 && output.contains(&words), "{output}");
    }
    let (output, code) = run(&[("HO_ALLOW_WILDCARD_LINKS", "yes")], &check).await;
    assert!(
        code == 2 && output.contains("HO_ALLOW_WILDCARD_LINKS cannot be used"),
        "{output}"
    );
}

/// A change explains the fault that it makes, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_hides_no_other_fault_of_its_setting() {
    for (list, code, is_fault) in [
        ("a%b@example.com", 1, false),
        ("a%b@example.com, alice", 2, true),
        ("alice, a%b@example.com", 2, true),
        (
            "bob@example.com=11111111-2222-3333-4444-555555555555, alice",
            2,
            true,
        ),
    ] {
        let settings = [("HO_ALLOWED_APPROVERS", list)];
        let (said, exit) = run(&settings, &["check", "--upgrade"]).await;
        assert_eq!(exit, code, "{list}: {said}");
        let fault = "HO_ALLOWED_APPROVERS cannot be used";
        assert_eq!(said.contains(fault), is_fault, "{list}: {said}");
    }
}
