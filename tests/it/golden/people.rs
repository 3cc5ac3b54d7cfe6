//! Golden rows that were handed over, rejected with a question, or marked to need the link or a fresh sign-in, which
//! the gates that wrote the rows of `v2planned` did not know.

use std::collections::BTreeSet;

use super::cases::{
    CLAIM, CLAIM_REFUSED, Case, EXECUTED, EXECUTED_REFUSED, Step, approve, by_link, case,
};
use super::{folder, owned, read};
use crate::harness::{ALICE, BOB};
use crate::sign_in;

/// The folder of these files.
pub(super) const VERSION: &str = "v2people";

const CAROL: &str = "carol@example.com";

/// The people to whom a seat may be handed over.
const LIST: (&str, &str) = (
    "HO_ALLOWED_APPROVERS",
    "alice@example.com, bob@example.com, carol@example.com",
);

pub(super) fn cases() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    let to_carol = by_link(
        ALICE,
        "decision=hand-over&hand_over=carol@example.com&reason=On+leave+%E6%9D%B1.&code=CODE",
        303,
    );
    let question = "decision=reject&code=CODE&revise=Leave+out+%E2%80%9Evpn-users%E2%80%9C.";
    vec![
        case("pending-handed-over", executed)
            .settings(&[LIST])
            .life(std::slice::from_ref(&to_carol))
            .next(&[approve(CAROL), CLAIM, EXECUTED]),
        case("approved-by-a-receiver", executed)
            .settings(&[LIST])
            .life(&[to_carol.clone(), approve(CAROL), Step::Sweep])
            .next(&[CLAIM, CLAIM_REFUSED, EXECUTED]),
        case("approved-by-another-than-the-receiver", executed)
            .settings(&[LIST])
            .life(&[to_carol, approve(BOB)])
            .next(&[CLAIM, EXECUTED]),
        case("rejected-with-a-question", ("Rejected", None))
            .life(&[by_link(ALICE, question, 303)])
            .next(&[CLAIM_REFUSED, EXECUTED_REFUSED]),
        case("pending-for-a-fresh-sign-in", ("Timeout", None))
            .settings(&sign_in::ON)
            .next(&[Step::Pass(30 * 86_400), Step::Sweep, CLAIM_REFUSED]),
    ]
}

#[test]
fn golden_rows_have_every_column_of_hand_overs_questions_and_step_up() {
    let expected: BTreeSet<String> = ["HandOvers", "Question", "StepUp"]
        .map(str::to_owned)
        .into();
    for backend in ["embedded", "tables"] {
        let mut found = BTreeSet::new();
        for case in cases() {
            let file = read(&folder(VERSION).join(format!("rows/{}.json", case.name)));
            let row = owned::columns_of(&file[backend]);
            let columns = row.as_object().unwrap().keys();
            found.extend(columns.filter(|it| expected.contains(*it)).cloned());
        }
        assert_eq!(found, expected, "{backend}");
    }
}
