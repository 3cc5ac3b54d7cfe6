//! Golden rows with deliveries to channels and a callback, which the gates that wrote the rows of `v2people` did not know.

use std::collections::BTreeSet;

use serde_json::json;

use super::cases::{
    CLAIM, CLAIM_REFUSED, Case, EXECUTED, EXECUTED_REFUSED, Step, approve, by_link, case,
};
use super::{folder, owned, read};
use crate::harness::ALICE;

/// The folder of these files.
pub(super) const VERSION: &str = "v2channels";

const POLICY: &str = r#"version = 1

[channels.ledger]
kind = "webhook"
url = "HO_CHANNEL_LEDGER"
callback_for = ["*"]

[channels.room]
kind = "teams"
url = "HO_CHANNEL_ROOM"

[[rule]]
id = "all"
effect = "require"
stages = [{ from = "requested" }]
tell = ["ledger", "room"]
"#;

/// Channels at which no one answers.
const TOLD: [(&str, &str); 5] = [
    ("HO_POLICY", POLICY),
    ("HO_CHANNEL_LEDGER", "http://127.0.0.1:1/"),
    (
        "HO_CHANNEL_LEDGER_SECRET",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
    ("HO_CHANNEL_ROOM", "http://127.0.0.1:1/"),
    ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
];

pub(super) fn cases() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    let callback = json!({"channel": "ledger", "state": "job „17“ 東\n"});
    let called_back = |name| {
        case(name, executed)
            .settings(&TOLD)
            .with("callback", callback.clone())
    };
    vec![
        called_back("pending-with-an-outbox").next(&[approve(ALICE), CLAIM, EXECUTED]),
        called_back("claimed-with-an-outbox")
            .life(&[approve(ALICE), CLAIM, Step::Pass(400), Step::Sweep])
            .next(&[CLAIM_REFUSED, EXECUTED]),
        case("rejected-with-an-outbox", ("Rejected", None))
            .settings(&TOLD)
            .with("callback", callback.clone())
            .life(&[by_link(ALICE, "decision=reject&code=CODE", 303)])
            .next(&[CLAIM_REFUSED, EXECUTED_REFUSED]),
    ]
}

#[test]
fn golden_rows_have_every_column_of_channels() {
    let expected: BTreeSet<String> = ["Callback", "Outbox"].map(str::to_owned).into();
    for backend in ["embedded", "tables"] {
        for case in cases() {
            let file = read(&folder(VERSION).join(format!("rows/{}.json", case.name)));
            let row = owned::columns_of(&file[backend]);
            let columns = row.as_object().unwrap().keys();
            let found: BTreeSet<String> = columns
                .filter(|it| expected.contains(*it))
                .cloned()
                .collect();
            assert_eq!(found, expected, "{backend}");
        }
    }
}
