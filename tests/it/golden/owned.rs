//! Golden rows with an owner, a permit or a revocation, which the gates that wrote the rows of `v2` did not
//! know.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use human_oversight_client::parameters::{hex, sha256};
use serde_json::Value;

use super::cases::{
    CLAIM, CLAIM_REFUSED, Case, EXECUTED, EXECUTED_REFUSED, Step, approve, by_link, case, signed_in,
};
use super::{Backend, Player, folder, key, read, restore_row};
use crate::harness::ALICE;
use crate::host::{KEY, OTHER_KEY};
use crate::sign_in;

/// The folder of these files.
pub(super) const VERSION: &str = "v2owned";

/// Gives the agents' key a part of the names.
static AGENT_KEYS: LazyLock<String> =
    LazyLock::new(|| format!("{}=User*", hex(&sha256(KEY.as_bytes()))));

pub(super) fn cases() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    let revoked = ("Approved", Some("Revoked"));
    let refused = [CLAIM_REFUSED, EXECUTED_REFUSED];
    let revoke = by_link(ALICE, "decision=revoke&code=CODE", 303);
    vec![
        case("approved", executed)
            .life(&[approve(ALICE)])
            .next(&[CLAIM, CLAIM_REFUSED, EXECUTED]),
        case("pending-of-listed-agents", executed)
            .settings(&[("HO_AGENT_KEYS", &AGENT_KEYS)])
            .next(&[approve(ALICE), CLAIM, EXECUTED]),
        case("executing-with-a-permit", executed)
            .life(&[approve(ALICE), CLAIM])
            .next(&[CLAIM, CLAIM_REFUSED, EXECUTED]),
        case("executed-with-a-permit", executed)
            .life(&[approve(ALICE), CLAIM, EXECUTED, Step::Sweep])
            .next(&[EXECUTED, CLAIM_REFUSED]),
        case("revoked-by-link", revoked)
            .life(&[approve(ALICE), revoke, Step::Sweep])
            .next(&refused),
        case("revoked-signed-in", revoked)
            .settings(&sign_in::ON)
            .life(&[
                signed_in("decision=approve"),
                signed_in("decision=revoke"),
                Step::Sweep,
            ])
            .next(&refused),
        case("revoked-by-the-operator", revoked)
            .life(&[approve(ALICE), Step::RevokeAsOperator, Step::Sweep])
            .next(&refused),
    ]
}

/// The columns of the row in a file.
pub(super) fn columns_of(golden: &Value) -> Value {
    let entity = golden["row"]["Entity"].as_str();
    entity.map_or_else(
        || golden["row"].clone(),
        |entity| serde_json::from_str(entity).unwrap(),
    )
}

#[test]
fn golden_rows_have_every_column_of_owners_permits_and_revocations() {
    for backend in ["embedded", "tables"] {
        let mut owners = BTreeSet::new();
        let mut revokers = BTreeSet::new();
        for case in cases() {
            let file = read(&folder(VERSION).join(format!("rows/{}.json", case.name)));
            let row = columns_of(&file[backend]);
            let text = |column: &str| row[column].as_str().map(str::to_owned);
            owners.insert(text("Owner").unwrap());
            revokers.extend(text("RevokedBy"));
            let is_revoked = case.end.1 == Some("Revoked");
            assert_eq!(row.get("Revocation").is_some(), is_revoked, "{}", case.name);
            let has_permit = case.name.ends_with("with-a-permit");
            assert_eq!(
                row.get("ClaimPermit").is_some(),
                has_permit,
                "{}",
                case.name
            );
        }
        let key = format!("key:{}", hex(&sha256(KEY.as_bytes())));
        assert_eq!(owners, BTreeSet::from(["agents:User*".to_owned(), key]));
        assert!(
            revokers.contains("operator") && revokers.len() > 1,
            "{revokers:?}"
        );
    }
}

#[tokio::test]
async fn a_golden_permit_is_answered_as_stored_and_to_its_owner_only() {
    let file = read(&folder(VERSION).join("rows/executing-with-a-permit.json"));
    let golden = &file["embedded"];
    let dir = tempfile::tempdir().unwrap();
    let store = restore_row(VERSION, Backend::Embedded, golden, &dir).await;
    let id = golden["answer"]["id"].as_str().unwrap();
    let mut player = Player::start(dir, &store, &[], key(VERSION), id).await;
    let path = format!("/api/claim/{id}");
    let nonce = serde_json::json!({"nonce": "0123456789abcdef"});
    let answer = player.post(&path, &nonce).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["permit"], columns_of(golden)["ClaimPermit"]);
    for other in ["", OTHER_KEY] {
        player.key = other;
        assert_eq!(player.post(&path, &nonce).await.status, 404);
        assert_eq!(player.status().await.status, 404);
    }
}
