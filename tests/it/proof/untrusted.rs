//! Untrusted bytes, passed to each parser of the gate and the client: no panic, and no altered input is
//! accepted as genuine. The inputs are mutations of the corpus in `tests/fuzz/NAME`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use human_oversight::azure::{SignIn, SignInPolicy};
use human_oversight::config::{Config, StoreSettings};
use human_oversight::domain::{Approval, Verdict};
use human_oversight::keys::keyring;
use human_oversight::keys::receipt::{ReceiptKeys, check};
use human_oversight::store::{Store, StoreError};
use human_oversight::values::ApprovalId;
use human_oversight_client::receipt::verify;
use human_oversight_client::types::KeySet;
use serde_json::{Value, json};

use crate::forms::{claim, decide, form, proposal};

use super::dice::{Case, Dice, corpus, first, inputs};
use super::{cases, record};
use crate::store::{OPEN_LIMIT, approval, at, keys};

/// Calls `check` with every input of the corpus, then with `all` mutated inputs. `more` are inputs that
/// no file can hold, because keys are random.
fn each(target: &str, all: u64, more: &[Vec<u8>], mut check: impl FnMut(&mut Dice, Vec<u8>)) {
    for (seed, mut dice, input) in inputs([corpus(target), more.to_vec()].concat(), all) {
        let _case = Case(seed);
        check(&mut dice, input);
    }
    record(&format!("untrusted_{target}"), &[("inputs", all)]);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn only_the_genuine_receipt_is_verified() {
    let keys = keyring::parse(&keyring::generate_receipt_key()).unwrap();
    let keys = ReceiptKeys::new(&keys).unwrap();
    let mut pending = approval("agent", "1");
    let form = form(0, Verdict::Approve, None);
    let proposal = proposal(&mut pending, &form, Duration::from_secs(60), at(1));
    let genuine = keys
        .sign("https://gate.example.com", &pending, &proposal)
        .unwrap();
    assert!(verify(&genuine, keys.public()).is_ok());
    pending.record_decision(proposal, genuine.clone());
    assert_eq!(check(&pending, keys.public()), Ok(()));
    let more = [genuine.clone().into_bytes()];
    each("receipt", cases(20_000, 5_000_000), &more, |dice, input| {
        let mut receipt = text(&input);
        // If a part can still be decoded, mutates the bytes behind its encoding.
        let mut parts: Vec<String> = receipt.split('.').map(str::to_owned).collect();
        let part = dice.below(parts.len());
        if dice.below(2) == 0
            && let Ok(bytes) = BASE64URL.decode(&parts[part])
        {
            parts[part] = BASE64URL.encode(dice.garble(&bytes));
            receipt = parts.join(".");
        }
        let is_verified = verify(&receipt, keys.public()).is_ok();
        assert_eq!(is_verified, receipt == genuine, "{receipt}");
    });
}

/// A row in each state of the lifecycle.
fn all_states() -> Vec<Approval> {
    let mut pending = approval("agent", "0");
    pending.request.reason = Some("Because.".to_owned());
    let decided = |verdict| {
        let mut approval = pending.clone();
        let form = form(0, verdict, Some("Fine"));
        let proposal = proposal(&mut approval, &form, Duration::from_secs(60), at(1));
        approval.record_decision(proposal, "a.b.c".to_owned());
        approval
    };
    let approved = decided(Verdict::Approve);
    let mut failed = approved.clone();
    failed.claim(claim("0123456789abcdef"), at(2));
    failed
        .report(Err(Some("It broke.".to_owned())), at(3))
        .unwrap();
    let mut late = pending.clone();
    decide(&mut late, 0, Verdict::Approve, Duration::ZERO, at(4_000));
    let mut cancelled = pending.clone();
    cancelled.withdraw(at(1)).unwrap();
    let all = [
        pending.clone(),
        approved,
        decided(Verdict::Reject),
        failed,
        late,
        cancelled,
    ];
    let numbered = all.into_iter().enumerate().map(|(number, approval)| {
        let id = ApprovalId::new("agent", &number.to_string()).unwrap();
        let request = human_oversight::domain::Request {
            owner: None,
            agent_object_id: None,
            id,
            ..approval.request
        };
        Approval {
            request,
            ..approval
        }
    });
    numbered.collect()
}

/// An attacker who can write the table but has no keys can neither forge an approval nor make the
/// decoder panic.
#[tokio::test]
async fn only_the_genuine_row_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let with_mac = Store::embedded(dir.path(), OPEN_LIMIT, keys());
    // As `verify` reads a table without the keys of the row MACs.
    let without_mac = Store::embedded(dir.path(), OPEN_LIMIT, None);
    let originals = all_states();
    for original in &originals {
        with_mac
            .insert(original.clone(), Some(at(0)))
            .await
            .unwrap();
    }
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    file.pragma_update(None, "synchronous", "OFF").unwrap();
    let select = "SELECT Entity FROM approvals ORDER BY RowKey";
    let mut rows = file.prepare(select).unwrap();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows: Vec<String> = rows.map(Result::unwrap).collect();

    let (all, mut unchanged, mut decoded) = (cases(4_000, 400_000), 0, 0);
    for seed in first()..first() + all {
        let _case = Case(seed);
        let mut dice = Dice(seed);
        let number = dice.below(rows.len());
        let (original, id) = (&originals[number], &originals[number].request.id);
        let entity = mutate_row(&mut dice, &rows[number]);
        let update = "UPDATE approvals SET Entity = ?2 WHERE RowKey = ?1";
        file.execute(update, (id.correlation(), &entity)).unwrap();
        match with_mac.get(id).await {
            Ok(row) => {
                assert_eq!(&row.approval, original, "{entity}");
                unchanged += 1;
            }
            Err(StoreError::Damaged(_) | StoreError::Legacy) => {}
            Err(other) => panic!("{other:?}: {entity}"),
        }
        if let Ok(row) = without_mac.get(id).await {
            let approval = row.approval;
            let _ = (approval.status(at(9)), approval.execution(at(9)));
            let _ = (approval.closed_at(), approval.deliverable());
            let without_keys = check(&approval, &KeySet::default());
            assert_eq!(without_keys.is_ok(), approval.signed_decision().is_none());
            decoded += 1;
        }
        with_mac.all(None).await.unwrap();
        file.execute(update, (id.correlation(), &rows[number]))
            .unwrap();
    }
    assert!(
        decoded > unchanged,
        "no change was detected by the MAC alone"
    );
    let figures = [
        ("rows changed", all),
        ("that said the same", unchanged),
        ("that only the seal gave away", decoded - unchanged),
    ];
    record("untrusted_rows", &figures);
}

/// Mutates a row: its bytes, its columns, or the JSON inside a column.
fn mutate_row(dice: &mut Dice, row: &str) -> String {
    let mut entity: Value = serde_json::from_str(row).unwrap();
    match dice.below(4) {
        0 => return text(&dice.garble(row.as_bytes())),
        1 => dice.alter(&mut entity),
        2 => {
            let columns = entity.as_object_mut().unwrap();
            let at = dice.below(columns.len());
            let (_, column) = columns.iter_mut().nth(at).unwrap();
            match column {
                Value::String(column) => *column = text(&dice.garble(column.as_bytes())),
                other => dice.alter(other),
            }
        }
        _ => {
            let names = ["Notifications", "History", "ApproverEmails", "Parameters"];
            let column = &mut entity[names[dice.below(names.len())]];
            let mut inner: Value = serde_json::from_str(column.as_str().unwrap()).unwrap();
            dice.alter(&mut inner);
            *column = json!(inner.to_string());
        }
    }
    entity.to_string()
}

#[test]
fn an_id_is_accepted_in_one_form_only() {
    each("id", cases(20_000, 5_000_000), &[], |_, input| {
        let input = text(&input);
        if let Ok(id) = input.parse::<ApprovalId>() {
            assert_eq!(id.to_string(), input);
        }
    });
}

#[test]
fn an_invalid_principal_is_never_a_sign_in() {
    let tenant = "00000000-0000-4000-8000-000000000001";
    let sign_in = SignIn {
        tenant: tenant.parse().unwrap(),
        policy: SignInPolicy::Always,
        max_age: None,
        auth_context: None,
    };
    let members = AtomicU64::new(0);
    each("principal", cases(20_000, 3_000_000), &[], |dice, input| {
        let mut principal = text(&input);
        if let Ok(bytes) = BASE64.decode(&input) {
            let bytes = dice.garble(&bytes);
            if sign_in.parse_member(&BASE64.encode(&bytes)).is_ok() {
                // A member's principal contains the tenant.
                assert!(text(&bytes).contains(tenant), "{}", text(&bytes));
                members.fetch_add(1, Ordering::Relaxed);
            }
            principal = BASE64.encode(bytes).replace('=', "");
        }
        sign_in.parse_member(&principal).ok();
    });
    assert!(members.into_inner() > 0, "no mutated principal is valid");
}

/// The operator is trusted, but settings hold secrets, which no error message may repeat.
#[test]
fn no_setting_panics_the_start_or_is_repeated_in_an_error() {
    each("config", cases(5_000, 1_000_000), &[], |_, input| {
        let input = text(&input);
        let lookup = |name: &str| {
            let mut settings = input.lines().filter_map(|line| line.split_once('='));
            let set = settings.find(|(n, _)| *n == name);
            set.map(|(_, value)| value.to_owned())
        };
        let config = Config::read(lookup).err();
        let table = StoreSettings::read(lookup).err();
        for error in [config, table].into_iter().flatten() {
            for error in error.iter().map(ToString::to_string) {
                assert!(!error.contains("zebra") && !error.contains('\n'), "{error}");
            }
        }
    });
}

/// Each folder of `tests/fuzz` is the corpus of a test.
#[test]
fn every_corpus_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut folders: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let used = [
        "answer",
        "body",
        "config",
        "form",
        "header",
        "id",
        "principal",
        "query",
        "receipt",
        "smtp",
        "submit",
    ];
    assert_eq!(folders, used);
}
