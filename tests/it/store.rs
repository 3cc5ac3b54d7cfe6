//! The store's contract, on every backend; and the responses when the file of the embedded store
//! cannot be used.

mod decided;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::domain::{Approval, Parameters, Request};
use human_oversight::keys::{LinkKeys, NamedKey};
use human_oversight::store::{
    Account, DuePage, GateIdSetting, OpenedBy, RowSettings, RowVersion, StandingKind, StandingRow,
    Store, StoreError, Versioned, name_gate,
};
use human_oversight::values::{ApprovalId, Digest, Timestamp};
use human_oversight_client::parameters::sha256;
use human_oversight_client::types::KeyLife;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use decided::{
    a_decision_is_kept_once_and_read_newest_first,
    a_kept_decision_that_was_changed_or_moved_is_left_out,
    kept_decisions_are_recognised_with_a_retired_key_and_restored_elsewhere,
};

use crate::azurite::{Table, azurite, fresh_table};
use crate::deadline::{eventually, within};
use crate::forms::submit_wrong_code;
use crate::harness::{TestGate, http, request};
use crate::lifecycle::approver;
use crate::owner::FOREIGN_LINK;

const AT: &str = "2026-11-22T17:30:00.000Z";

/// Above the number of open requests in any test that does not check this limit.
pub(crate) const OPEN_LIMIT: usize = 1_000;

/// The keys of all stores in these tests, which share their rows.
pub(crate) fn keys() -> Option<Arc<LinkKeys>> {
    keys_named(&[("k", 7)])
}

fn keys_named(keys: &[(&str, u8)]) -> Option<Arc<LinkKeys>> {
    let keys = keys.iter().map(|(kid, byte)| NamedKey {
        kid: (*kid).to_owned(),
        life: KeyLife::default(),
        bytes: vec![*byte; 32],
    });
    Some(Arc::new(LinkKeys::new(&keys.collect::<Vec<_>>()).unwrap()))
}

/// The backend that holds the rows of a test.
pub(crate) enum Ground {
    File(TempDir),
    Tables(String),
}

impl Ground {
    async fn prepared(self) -> Self {
        self.open().prepare().await.unwrap();
        self
    }

    /// Opens a separate store on these rows, as another process does.
    pub(crate) fn open(&self) -> Store {
        self.limited(OPEN_LIMIT)
    }

    fn limited(&self, open_limit: usize) -> Store {
        self.with_keys(open_limit, keys())
    }

    /// A store with these settings for the gate's id and its rows.
    fn with_rows(&self, rows: RowSettings) -> Store {
        self.open().with_rows(rows)
    }

    /// Changes the row with the gate's id, as a party with write access to the table can.
    async fn tamper_with_gate_id(&self, change: impl FnOnce(&mut Value)) {
        self.tamper_with_standing(("gate", "id"), change).await;
    }

    /// The same for any row of the standing table. New keys in it are those of a copy in a table.
    async fn tamper_with_standing(&self, keys: (&str, &str), change: impl FnOnce(&mut Value)) {
        self.tamper_with("standing", keys, change).await;
    }

    /// The same for the standing table or the table of decisions.
    async fn tamper_with(
        &self,
        kind: &str,
        (partition, key): (&str, &str),
        change: impl FnOnce(&mut Value),
    ) {
        match self {
            Self::File(dir) => {
                let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
                let table = format!("{kind}approvals");
                let row = "WHERE PartitionKey = ?1 AND RowKey = ?2";
                let select = format!("SELECT Entity FROM {table} {row}");
                let entity = file.query_row(&select, [partition, key], |row| row.get(0));
                let entity: String = entity.unwrap();
                let mut entity: Value = serde_json::from_str(&entity).unwrap();
                change(&mut entity);
                let update = format!("UPDATE {table} SET Entity = ?3 {row}");
                let entity = entity.to_string();
                file.execute(&update, [partition, key, &entity]).unwrap();
            }
            Self::Tables(table) => {
                let table = Table::of(azurite().port, &format!("{kind}{table}"));
                let mut rows = table.rows().await.into_iter();
                let mut row = rows
                    .find(|row| row["PartitionKey"] == partition && row["RowKey"] == key)
                    .unwrap();
                change(&mut row);
                table.put(&row).await;
            }
        }
    }

    fn with_keys(&self, open_limit: usize, keys: Option<Arc<LinkKeys>>) -> Store {
        match self {
            Self::File(dir) => Store::embedded(dir.path(), open_limit, keys),
            Self::Tables(table) => {
                let account = Account::from_connection_string(&azurite().connection_string());
                Store::tables(
                    &account.unwrap(),
                    table,
                    Arc::new(http().build().unwrap()),
                    Arc::new(|| at(0)),
                    open_limit,
                    keys,
                )
            }
        }
    }
}

/// Held by each test of the contract on tables: Azurite runs in one thread, and two rushes at once could take longer
/// than the store's time for an operation.
static AZURITE: Mutex<()> = Mutex::const_new(());

/// Runs each test on each backend.
macro_rules! contract {
    ($($name:ident,)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let ground = super::Ground::File(tempfile::tempdir().unwrap());
                super::within(super::$name(ground.prepared().await)).await;
            })*
        }
        mod tables {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let _alone = super::AZURITE.lock().await;
                let ground = super::Ground::Tables(super::fresh_table());
                super::within(super::$name(ground.prepared().await)).await;
            })*
        }
    };
}

contract! {
    a_row_is_inserted_once_and_replaced_only_with_its_etag,
    of_64_concurrent_writers_one_wins_each_round,
    writers_that_retry_all_succeed,
    due_rows_are_listed_page_by_page,
    concurrent_writes_and_sweeps_miss_no_due_row,
    another_process_reads_acknowledged_writes,
    the_largest_row_fits_and_a_larger_one_is_refused,
    concurrent_inserts_do_not_exceed_the_limit_of_open_requests,
    the_first_gate_id_is_kept_and_another_is_refused,
    a_replaced_gate_id_loses_no_row,
    gates_that_start_concurrently_agree_on_their_id,
    rows_of_version_1_have_no_gate_id_and_rows_of_version_2_are_read,
    a_key_change_renews_the_mac_of_the_gate_id_unless_the_id_was_changed,
    a_count_whose_key_is_gone_begins_anew_and_no_other_row_does,
    a_standing_row_is_inserted_once_and_replaced_or_deleted_only_as_it_was_read,
    of_64_concurrent_writers_of_a_standing_row_one_wins_each_round,
    standing_rows_of_a_kind_are_listed_page_by_page,
    a_standing_row_that_was_changed_or_moved_is_damaged_and_never_absent,
    standing_rows_are_sealed_for_the_gate_whatever_the_version_of_rows,
    a_decision_is_kept_once_and_read_newest_first,
    a_kept_decision_that_was_changed_or_moved_is_left_out,
    kept_decisions_are_recognised_with_a_retired_key_and_restored_elsewhere,
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::parse(AT).unwrap() + Duration::from_secs(seconds)
}

pub(crate) fn approval(agent: &str, correlation: &str) -> Approval {
    let json = r#"{"user_id":"1"}"#.to_owned();
    let digest = Digest(sha256(json.as_bytes()));
    let request = Request {
        owner: None,
        agent_object_id: None,
        supersedes: None,
        callback: None,
        id: ApprovalId::new(agent, correlation).unwrap(),
        action: "Delete".to_owned(),
        parameters: Parameters { json, digest },
        reason: None,
        on_behalf_of: None,
        claimant: None,
        digest,
        needs_step_up: false,
        requested_at: at(0),
        expires_at: at(3_600),
    };
    // Earlier versions stored such addresses, which can no longer be entered.
    let approver = approver("alice%relay@example.com");
    Approval::new(request, vec![approver])
}

/// The ids of all due rows, over all pages.
async fn list_due(store: &Store, now: Timestamp) -> Vec<ApprovalId> {
    let (mut seen, mut place) = (Vec::new(), None);
    loop {
        let DuePage {
            due: page, next, ..
        } = store.due(now, place).await.unwrap();
        seen.extend(page.into_iter().map(|due| due.id.unwrap()));
        if next.is_none() {
            return seen;
        }
        place = next;
    }
}

async fn a_row_is_inserted_once_and_replaced_only_with_its_etag(ground: Ground) {
    let store = ground.open();
    for agent in [
        "plain",
        "a/b\\c#d?e'f\"g",
        "victim')",
        "x',PartitionKey='y",
        "Ünï 東京 👩\u{200d}💻",
        "%27",
        "~41",
        "~~",
        " ",
        &"ж".repeat(85),
    ] {
        let new = approval(agent, "x");
        let id = new.request.id.clone();
        assert!(matches!(store.get(&id).await, Err(StoreError::NotFound)));
        let first = store.insert(new.clone(), Some(at(0))).await.unwrap();
        assert!(matches!(
            store.insert(new.clone(), None).await,
            Err(StoreError::AlreadyExists)
        ));
        assert!(matches!(
            store.insert(new.clone(), Some(at(5))).await,
            Err(StoreError::AlreadyExists)
        ));
        assert_eq!(store.get(&id).await.unwrap(), first);
        assert_eq!(first.approval, new);
        assert_eq!(list_due(&store, at(0)).await, std::slice::from_ref(&id));

        let mut changed = first.clone();
        changed.approval.withdraw(at(1)).unwrap();
        let second = store.replace(changed.clone(), None).await.unwrap();
        assert_ne!(second.etag, first.etag);
        assert!(matches!(
            store.replace(first.clone(), Some(at(0))).await,
            Err(StoreError::Conflict)
        ));
        assert_eq!(store.get(&id).await.unwrap(), second);
        store.settle().await;
        assert_eq!(list_due(&store, at(1_000)).await, []);
    }
    // A row that does not exist cannot be replaced.
    let mut ghost = store.insert(approval("ghost", "1"), None).await.unwrap();
    ghost.approval.request.id = ApprovalId::new("ghost", "2").unwrap();
    assert!(matches!(
        store.replace(ghost, None).await,
        Err(StoreError::Conflict)
    ));
}

/// Counts a wrong code of the first approver, even after the lock, where the domain stops counting.
pub(crate) fn count_wrong_code(approval: &mut Approval, now: Timestamp) {
    if approval.approvers[0].is_locked() {
        approval.approvers[0].wrong_codes += 1;
    } else {
        submit_wrong_code(approval, 0, now);
    }
}

async fn of_64_concurrent_writers_one_wins_each_round(ground: Ground) {
    let store = ground.open();
    let mut row = store.insert(approval("a", "x"), None).await.unwrap();
    for round in 0..5 {
        count_wrong_code(&mut row.approval, at(round));
        let results = join_all((0..64).map(|_| store.replace(row.clone(), None))).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 63));
        row = won.into_iter().next().unwrap().unwrap();
    }
}

async fn writers_that_retry_all_succeed(ground: Ground) {
    let row = ground
        .open()
        .insert(approval("a", "x"), None)
        .await
        .unwrap();
    let id = &row.approval.request.id;
    let count = async || {
        let store = ground.open();
        loop {
            let mut row = store.get(id).await.unwrap();
            count_wrong_code(&mut row.approval, at(1));
            match store.replace(row, None).await {
                Err(StoreError::Conflict) => {}
                done => break done.unwrap(),
            }
        }
    };
    join_all((0..16).map(|_| count())).await;
    let row = ground.open().get(id).await.unwrap();
    assert_eq!(row.approval.approvers[0].wrong_codes, 16);
}

async fn due_rows_are_listed_page_by_page(ground: Ground) {
    let store = &ground.open();
    // 100 rows share a due time, and every fifth is never due.
    let when = |number: u64| (number % 5 != 4).then(|| at(number / 100));
    let insert = async |number: u64| {
        let agent = format!("agent-{}", number / 100);
        let new = approval(&agent, &format!("{number:04}"));
        store.insert(new, when(number)).await.unwrap();
    };
    let numbers: Vec<u64> = (0..1_600).collect();
    for some in numbers.chunks(8) {
        join_all(some.iter().map(|&number| insert(number))).await;
    }
    let seen = list_due(store, at(12)).await;
    let expected: Vec<String> = (0..1_300)
        .filter(|&number| when(number).is_some())
        .map(|number| format!("{number:04}"))
        .collect();
    assert!(
        expected.len() > 1_000,
        "more than Azure returns in one response"
    );
    let names: Vec<_> = seen.iter().map(ApprovalId::correlation).collect();
    if matches!(ground, Ground::File(_)) {
        assert_eq!(names, expected, "oldest due time first");
    }
    assert_eq!(names.len(), expected.len(), "each once");
    assert_eq!(
        BTreeSet::from_iter(names),
        expected.iter().map(String::as_str).collect()
    );
    let page = store.due(at(12), None).await.unwrap().due;
    assert!(page.len() <= 1_000);

    let first = ApprovalId::new("agent-0", "0000").unwrap();
    let row = store.get(&first).await.unwrap();
    store.replace(row, Some(at(1_000))).await.unwrap();
    store.settle().await;
    assert!(
        !list_due(store, at(12)).await.contains(&first),
        "its entry was moved"
    );
    assert!(list_due(store, at(1_000)).await.contains(&first));
}

/// Three writers change due times back and forth while one process sweeps: every row that is due has an
/// index entry that leads to it.
async fn concurrent_writes_and_sweeps_miss_no_due_row(ground: Ground) {
    let insert = async |name| {
        let new = approval("a", name);
        let row = ground.open().insert(new, Some(at(0))).await.unwrap();
        row.approval.request.id
    };
    let (quiet, busy) = (&insert("quiet").await, &insert("busy").await);
    let write = async |id, writer: u64| {
        let store = ground.open();
        for step in 0..20 {
            let later = [None, Some(at(1_000)), Some(at(5)), Some(at(2_000))];
            for due in [later[((step + writer) % 4) as usize], Some(at(7))] {
                let mut row = store.get(id).await.unwrap();
                count_wrong_code(&mut row.approval, at(1));
                match store.replace(row, due).await {
                    Ok(_) | Err(StoreError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            if id == quiet {
                assert!(is_due(&store, id, at(7)).await, "step {step}");
            }
        }
        // The final write is retried until it succeeds.
        eventually(async || {
            let row = store.get(id).await.unwrap();
            store.replace(row, Some(at(9))).await.ok()
        })
        .await;
    };
    let sweep = async || {
        let store = ground.open();
        for _ in 0..60 {
            let page = store.due(at(7), None).await.unwrap().due;
            for due in page {
                let id = due.id.clone().unwrap();
                store.get_if_due(&id, &due, at(7)).await.unwrap();
            }
        }
    };
    futures_util::join!(write(quiet, 0), write(busy, 1), write(busy, 2), sweep());
    let store = ground.open();
    assert!(is_due(&store, quiet, at(9)).await);
    assert!(is_due(&store, busy, at(9)).await);
}

/// Whether the index leads to the row.
async fn is_due(store: &Store, id: &ApprovalId, now: Timestamp) -> bool {
    let page = store.due(now, None).await.unwrap().due;
    let entries = page.iter().filter(|due| due.id.as_ref() == Ok(id));
    for due in entries {
        if store.get_if_due(id, due, now).await.unwrap().is_some() {
            return true;
        }
    }
    false
}

async fn concurrent_inserts_do_not_exceed_the_limit_of_open_requests(ground: Ground) {
    const LIMIT: usize = 40;
    let store = ground.limited(LIMIT);
    let insert = |agent: &'static str, name: String| {
        let store = ground.limited(LIMIT);
        async move { store.insert(approval(agent, &name), Some(at(0))).await }
    };
    insert("other", "x".to_owned()).await.unwrap();
    for number in 0..LIMIT - 10 {
        insert("busy", format!("{number}")).await.unwrap();
    }
    let rush = join_all((0..64).map(|number| insert("busy", format!("rush-{number}")))).await;
    let (inserted, refused): (Vec<_>, Vec<_>) = rush.into_iter().partition(Result::is_ok);
    for row in refused {
        assert!(matches!(row, Err(StoreError::OpenLimit)), "{row:?}");
    }
    let mut inserted: Vec<_> = inserted.into_iter().map(Result::unwrap).collect();
    assert!(inserted.len() <= 10, "{}", inserted.len());
    for number in inserted.len()..10 {
        let row = insert("busy", format!("fill-{number}")).await;
        inserted.push(row.expect("a refused insert does not count"));
    }
    assert_eq!(list_due(&store, at(1)).await.len(), LIMIT + 1);
    let one_more = insert("busy", "one-more".to_owned()).await;
    assert!(matches!(one_more, Err(StoreError::OpenLimit)));
    // A finished request no longer counts.
    let done = inserted.into_iter().next().unwrap();
    store.replace(done, None).await.unwrap();
    insert("busy", "one-more".to_owned()).await.unwrap();
}

async fn another_process_reads_acknowledged_writes(ground: Ground) {
    let (one, other) = (ground.open(), ground.open());
    let written = one.insert(approval("a", "x"), None).await.unwrap();
    assert_eq!(
        other.get(&written.approval.request.id).await.unwrap(),
        written
    );
    let mut changed = written.clone();
    changed.approval.withdraw(at(1)).unwrap();
    other.replace(changed, None).await.unwrap();
    assert!(matches!(
        one.replace(written, None).await,
        Err(StoreError::Conflict)
    ));
}

async fn the_largest_row_fits_and_a_larger_one_is_refused(ground: Ground) {
    let store = ground.open();
    let with = |name: &str, length: usize| {
        let mut new = approval("a", name);
        let json = format!(r#"{{"x":"{}"}}"#, "x".repeat(length));
        let digest = Digest(sha256(json.as_bytes()));
        new.request.parameters = Parameters { json, digest };
        new.request.reason = Some("€".repeat(2_000));
        new
    };
    // Azure accepts 32,768 UTF-16 units in a column.
    let largest = with("largest", 32_768 - 8);
    let Versioned { approval, .. } = store.insert(largest.clone(), None).await.unwrap();
    assert_eq!(approval, largest);
    let id = &approval.request.id;
    assert_eq!(store.get(id).await.unwrap().approval, largest);

    let larger = with("larger", 32_768 - 7);
    let error = store.insert(larger.clone(), Some(at(0))).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooLarge {
                column: "Parameters",
                size: 32_769,
                limit: 32_768
            }
        ),
        "{error}"
    );
    assert!(matches!(
        store.get(&larger.request.id).await,
        Err(StoreError::NotFound)
    ));
    assert_eq!(list_due(&store, at(0)).await, []);
}

fn default_id(id: &str) -> RowSettings {
    RowSettings {
        default_gate_id: Some(id.to_owned()),
        ..RowSettings::default()
    }
}

fn set_id(id: &str, replaces: Option<&str>) -> RowSettings {
    RowSettings {
        gate_id: Some(GateIdSetting {
            id: id.to_owned(),
            replaces: replaces.map(str::to_owned),
        }),
        ..RowSettings::default()
    }
}

async fn the_first_gate_id_is_kept_and_another_is_refused(ground: Ground) {
    let first = ground.with_rows(default_id("one"));
    let row = first.insert(approval("a", "x"), None).await;
    // `prepared` has already stored the id `local` in the tables; in a file, the first insert stores an id.
    let kept = match ground {
        Ground::File(_) => "one",
        Ground::Tables(_) => "local",
    };
    let id = row.unwrap().approval.request.id;
    for other in [
        default_id("two"),
        set_id(kept, None),
        set_id(kept, Some("zero")),
    ] {
        let store = ground.with_rows(other);
        store.prepare().await.unwrap();
        store.get(&id).await.unwrap();
        store.all(None).await.unwrap().0.remove(0).approval.unwrap();
    }
    for other in [set_id("two", None), set_id("two", Some("zero"))] {
        let store = ground.with_rows(other);
        let refused = store.prepare().await.unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, StoreError::GateId { .. }), "{text}");
        assert!(
            text.contains("HO_GATE_ID is two") && text.contains(kept),
            "{text}"
        );
        for refused in [
            store.get(&id).await.map(drop),
            store.insert(approval("a", "y"), None).await.map(drop),
            store.all(None).await.map(drop),
        ] {
            assert!(
                matches!(refused, Err(StoreError::GateId { .. })),
                "{refused:?}"
            );
        }
    }
}

async fn a_replaced_gate_id_loses_no_row(ground: Ground) {
    let store = ground.open();
    let old = store.insert(approval("a", "old"), None).await.unwrap();
    let id = &old.approval.request.id.clone();
    for (new, replaced) in [("new", "local"), ("newest", "new")] {
        let store = ground.with_rows(set_id(new, Some(replaced)));
        store.prepare().await.unwrap();
        store.get(id).await.unwrap();
        // The setting may keep or drop the replaced id.
        for settings in [set_id(new, Some(replaced)), set_id(new, None)] {
            let store = ground.with_rows(settings);
            store.prepare().await.unwrap();
            store.get(id).await.unwrap();
        }
        let refused = ground.with_rows(set_id(replaced, None)).prepare().await;
        assert!(matches!(refused, Err(StoreError::GateId { .. })));
    }
    // The next write of the row computes its MAC for the new id.
    let store = ground.open();
    let gate = async || {
        let mut row = store.all(None).await.unwrap().0.remove(0).columns;
        assert_eq!(row["odata.gate"], "newest,new,local");
        name_gate(&mut row, &keys().unwrap());
        row["odata.gate"].clone()
    };
    assert_eq!(gate().await, "local");
    let row = store.get(id).await.unwrap();
    store.replace(row, None).await.unwrap();
    assert_eq!(gate().await, "newest");
    store.get(id).await.unwrap();
}

async fn gates_that_start_concurrently_agree_on_their_id(ground: Ground) {
    if let Ground::Tables(table) = &ground {
        // The state before the first start.
        let table = Table::of(azurite().port, &format!("standing{table}"));
        table.remove("gate", "id").await;
    }
    let inserted = join_all((0..16).map(|number| {
        let store = ground.with_rows(default_id(&format!("gate-{number}")));
        async move {
            let new = approval("a", &format!("{number}"));
            store.insert(new, None).await.unwrap().approval.request.id
        }
    }));
    let store = ground.open();
    for id in inserted.await {
        store.get(&id).await.unwrap();
    }
}

async fn rows_of_version_1_have_no_gate_id_and_rows_of_version_2_are_read(ground: Ground) {
    let version_1 = || RowSettings {
        version: RowVersion::V1,
        ..RowSettings::default()
    };
    let old = ground.with_rows(version_1());
    let one = old.insert(approval("a", "1"), None).await.unwrap();
    let new = ground.open();
    let read = new.get(&one.approval.request.id).await.unwrap();
    assert_eq!(read.approval, one.approval);
    let two = new.insert(approval("a", "2"), None).await.unwrap();
    let id = &two.approval.request.id;
    let read = old.get(id).await.unwrap();
    assert_eq!(read.approval, two.approval);
    // A row that version 1 has written again is read by both.
    let back = old.replace(read, None).await.unwrap();
    let again = new.get(id).await.unwrap();
    assert_eq!(again.approval, back.approval);
    let again = new.replace(again, None).await.unwrap();
    assert_eq!(old.get(id).await.unwrap().approval, again.approval);
    for (row, seal) in new.all(None).await.unwrap().0.iter().zip(["k.", "v2:k."]) {
        let found = row.columns["RowSeal"].as_str().unwrap();
        assert!(found.starts_with(seal), "{found}");
    }
    let refused = set_id("another", None);
    let refused = RowSettings {
        version: RowVersion::V1,
        ..refused
    };
    let refused = ground.with_rows(refused).prepare().await;
    assert!(matches!(refused, Err(StoreError::GateId { .. })));
}

async fn a_key_change_renews_the_mac_of_the_gate_id_unless_the_id_was_changed(ground: Ground) {
    let with = |keys: &[(&str, u8)], id: &str| {
        let keys = keys_named(keys);
        ground.with_keys(OPEN_LIMIT, keys).with_rows(default_id(id))
    };
    let row = ground
        .open()
        .insert(approval("a", "x"), None)
        .await
        .unwrap();
    let id = &row.approval.request.id;
    // A new key is put before the old one, which can be removed once every row has been written again.
    let both = with(&[("l", 8), ("k", 7)], "another");
    both.prepare().await.unwrap();
    let row = both.get(id).await.unwrap();
    both.replace(row, None).await.unwrap();
    let new = with(&[("l", 8)], "another");
    new.prepare().await.unwrap();
    new.get(id).await.unwrap();
    assert_eq!(
        new.all(None).await.unwrap().0[0].columns["odata.gate"],
        "local"
    );

    // The stored id is changed to that of another gate.
    ground
        .tamper_with_gate_id(|row| row["GateId"] = json!("another"))
        .await;
    let store = with(&[("l", 8)], "local");
    for refused in [
        store.prepare().await,
        store.get(id).await.map(drop),
        store.insert(approval("a", "y"), None).await.map(drop),
    ] {
        assert!(
            matches!(refused, Err(StoreError::GateIdDamaged(_))),
            "{refused:?}"
        );
    }
    // All keys are replaced: no earlier MAC is trusted, neither of the rows nor of the id.
    let commands = || RowSettings {
        opened_by: OpenedBy::Command,
        ..default_id("another")
    };
    let refused = |store: Store| async move {
        for refused in [
            store.prepare().await,
            store.get(id).await.map(drop),
            store.insert(approval("a", "y"), None).await.map(drop),
        ] {
            assert!(
                matches!(&refused, Err(StoreError::GateIdOfOtherKey(id)) if id == "another"),
                "{refused:?}"
            );
        }
    };
    // Neither a command nor a gate with another id takes the stored one over.
    let foreign = || ground.with_keys(OPEN_LIMIT, keys_named(&[("m", 9)]));
    refused(foreign().with_rows(commands())).await;
    refused(foreign().with_rows(default_id("fresh"))).await;
    refused(foreign().with_rows(set_id("fresh", Some("former")))).await;
    let store = with(&[("m", 9)], "another");
    store.prepare().await.unwrap();
    assert!(matches!(store.get(id).await, Err(StoreError::Damaged(_))));
    let row = store.insert(approval("a", "z"), None).await.unwrap();
    let other = with(&[("m", 9)], "other");
    other.get(&row.approval.request.id).await.unwrap();
}

fn standing(kind: StandingKind, name: &str, columns: &[(&str, &str)]) -> StandingRow {
    let columns = columns
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    StandingRow::new(kind, name, columns.collect())
}

async fn a_standing_row_is_inserted_once_and_replaced_or_deleted_only_as_it_was_read(
    ground: Ground,
) {
    let store = ground.open();
    let kind = StandingKind::Budget;
    for name in ["plain", "a/b\\c#d?e'f\"g", "Ünï 東京", "~41", " ", ""] {
        assert_eq!(store.standing(kind, name).await.unwrap(), None);
        let new = standing(
            kind,
            name,
            &[("Left", "7"), ("Empty", ""), ("Text", "é\n“x”")],
        );
        let stored = store.put_standing(new.clone(), at(1)).await.unwrap();
        assert_eq!(
            (&stored.columns, stored.written_at()),
            (&new.columns, Some(at(1)))
        );
        // As another process reads it.
        let read = ground.open().standing(kind, name).await.unwrap();
        assert_eq!(read.as_ref(), Some(&stored));
        let other = store.standing(StandingKind::Rejection, name).await;
        assert_eq!(other.unwrap(), None, "another kind is another row");
        let again = store.put_standing(new, at(2)).await;
        assert!(matches!(again, Err(StoreError::AlreadyExists)), "{again:?}");

        let mut changed = stored.clone();
        changed.columns.insert("Left".to_owned(), "6".to_owned());
        let newer = store.put_standing(changed, at(3)).await.unwrap();
        for stale in [
            store.put_standing(stored.clone(), at(4)).await.map(drop),
            store.delete_standing(&stored).await,
            store.delete_standing(&standing(kind, name, &[])).await,
        ] {
            assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
        }
        let read = store.standing(kind, name).await.unwrap().unwrap();
        assert_eq!((&read, read.columns["Left"].as_str()), (&newer, "6"));
        store.delete_standing(&newer).await.unwrap();
        assert_eq!(store.standing(kind, name).await.unwrap(), None);
        let gone = store.put_standing(newer, at(5)).await;
        assert!(matches!(gone, Err(StoreError::Conflict)), "{gone:?}");
    }
    let text = "x".repeat(32_769);
    let large = standing(kind, "large", &[("Left", &text)]);
    let refused = store.put_standing(large, at(0)).await;
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge { size: 32_769, .. })
    ));
    let full = standing(kind, "full", &[("Left", &text[1..])]);
    store.put_standing(full, at(0)).await.unwrap();
    let long = standing(kind, &"x".repeat(513), &[]);
    let refused = store.put_standing(long, at(0)).await;
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge {
            column: "RowKey",
            ..
        })
    ));
}

async fn of_64_concurrent_writers_of_a_standing_row_one_wins_each_round(ground: Ground) {
    let store = ground.open();
    let new = standing(StandingKind::Budget, "a", &[]);
    let first = join_all((0..64).map(|_| store.put_standing(new.clone(), at(0)))).await;
    let mut won: Vec<_> = first.into_iter().filter_map(Result::ok).collect();
    for round in 1..5 {
        assert_eq!(won.len(), 1);
        let row = won.remove(0);
        let results = join_all((0..64).map(|_| store.put_standing(row.clone(), at(round)))).await;
        won = results.into_iter().filter_map(Result::ok).collect();
    }
}

async fn standing_rows_of_a_kind_are_listed_page_by_page(ground: Ground) {
    let store = &ground.open();
    let kind = StandingKind::Rejection;
    assert_eq!(store.standing_of(kind).await.unwrap(), []);
    let put = async |number: u32| {
        let row = standing(kind, &format!("{number:04}"), &[]);
        store.put_standing(row, at(0)).await.unwrap();
    };
    // More than Azure returns in one response.
    let numbers: Vec<u32> = (0..1_050).collect();
    for some in numbers.chunks(8) {
        join_all(some.iter().map(|&number| put(number))).await;
    }
    for kind in [StandingKind::Budget, StandingKind::Pause] {
        let one = standing(kind, "one", &[]);
        store.put_standing(one, at(0)).await.unwrap();
        assert_eq!(store.standing_of(kind).await.unwrap().len(), 1);
    }
    let listed = store.standing_of(kind).await.unwrap();
    let names: Vec<_> = listed.iter().map(|row| row.name.as_str()).collect();
    let expected: Vec<_> = (0..1_050).map(|number| format!("{number:04}")).collect();
    assert_eq!(names, expected);
    let (mut place, mut of_kinds, mut others) = (None, 0, 0);
    loop {
        let (page, next) = store.all_standing(place).await.unwrap();
        of_kinds += page.iter().filter(|row| row.row.is_some()).count();
        others += page.iter().filter(|row| row.row.is_none()).count();
        place = next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!((of_kinds, others), (1_052, 0), "without the gate's id");
}

async fn a_standing_row_that_was_changed_or_moved_is_damaged_and_never_absent(ground: Ground) {
    let store = ground.open();
    let kind = StandingKind::Pause;
    type Change = fn(&mut Value);
    let changes: [Change; 6] = [
        |row| row["Scope"] = json!("agent"),
        |row| row["Scope"] = json!(7),
        |row| row["Added"] = json!("x"),
        |row| row["RowSeal"] = json!("v2:k.AAAA"),
        |row| drop(row.as_object_mut().unwrap().remove("RowSeal")),
        |row| drop(row.as_object_mut().unwrap().remove("WrittenTimestamp")),
    ];
    for change in changes {
        let row = standing(kind, "x", &[("Scope", "all")]);
        store.put_standing(row, at(0)).await.unwrap();
        ground.tamper_with_standing(("pause", "x"), change).await;
        for read in [
            store.standing(kind, "x").await.map(drop),
            store.standing_of(kind).await.map(drop),
        ] {
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
        }
        let (listed, _) = store.all_standing(None).await.unwrap();
        let listed = listed.iter().find(|row| row.keys.0 == "pause").unwrap();
        assert!(matches!(listed.row, Some(Err(StoreError::Damaged(_)))));
        store.delete_stored_standing(listed).await.unwrap();
        assert_eq!(store.standing(kind, "x").await.unwrap(), None);
    }
    // Sealed for other keys, as a row copied from one scope to another.
    let row = standing(kind, "x", &[]);
    store.put_standing(row, at(0)).await.unwrap();
    ground
        .tamper_with_standing(("pause", "x"), |row| row["RowKey"] = json!("y"))
        .await;
    let name = if matches!(ground, Ground::File(_)) {
        "x"
    } else {
        "y"
    };
    let moved = store.standing(kind, name).await;
    assert!(matches!(moved, Err(StoreError::Damaged(_))), "{moved:?}");
}

/// As after the leak of a key: the new one takes its place.
async fn a_count_whose_key_is_gone_begins_anew_and_no_other_row_does(ground: Ground) {
    use StandingKind::{Budget, Code, Limit, Pause, Rejection};
    let before = ground.open();
    for kind in [Budget, Code, Limit, Pause, Rejection] {
        let row = standing(kind, "x", &[("Count", "7")]);
        before.put_standing(row, at(0)).await.unwrap();
    }
    let keys = keys_named(&[("m", 9)]);
    let after = ground.with_keys(OPEN_LIMIT, keys);
    after.prepare().await.unwrap();
    for kind in [Pause, Rejection] {
        let read = after.standing(kind, "x").await;
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    }
    for (kind, word) in [(Budget, "budget"), (Code, "code"), (Limit, "limit")] {
        let mut row = after.standing(kind, "x").await.unwrap().unwrap();
        assert!(row.columns.is_empty(), "{row:?}");
        row.columns = standing(kind, "x", &[("Count", "1")]).columns;
        after.put_standing(row, at(1)).await.unwrap();
        let row = after.standing(kind, "x").await.unwrap().unwrap();
        assert_eq!(row.columns["Count"], "1");
        // A count that was changed is none, nor is one without a key's name.
        for seal in [None, Some("v2:m.AAAA"), Some("v2:AAAA")] {
            let change = |row: &mut Value| match seal {
                None => row["Count"] = json!("0"),
                Some(seal) => row["RowSeal"] = json!(seal),
            };
            ground.tamper_with_standing((word, "x"), change).await;
            let read = after.standing(kind, "x").await;
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
        }
    }
}

async fn standing_rows_are_sealed_for_the_gate_whatever_the_version_of_rows(ground: Ground) {
    let old = ground.with_rows(RowSettings {
        version: RowVersion::V1,
        ..RowSettings::default()
    });
    let row = standing(StandingKind::Pause, "x", &[("Scope", "all")]);
    let stored = old.put_standing(row, at(0)).await.unwrap();
    let find = async |store: &Store| store.standing(StandingKind::Pause, "x").await;
    assert_eq!(find(&ground.open()).await.unwrap(), Some(stored));
    // A new id of the gate and a new key lose no row, and another gate's are not read.
    let renamed = ground.with_rows(set_id("new", Some("local")));
    renamed.prepare().await.unwrap();
    find(&renamed).await.unwrap().unwrap();
    let both = keys_named(&[("l", 8), ("k", 7)]);
    find(&ground.with_keys(OPEN_LIMIT, both))
        .await
        .unwrap()
        .unwrap();
    let without = keys_named(&[("l", 8)]);
    let unknown = find(&ground.with_keys(OPEN_LIMIT, without)).await;
    assert!(
        matches!(&unknown, Err(StoreError::GateIdOfOtherKey(id)) if id == "new"),
        "{unknown:?}"
    );
    let unread = find(&ground.with_keys(OPEN_LIMIT, None)).await;
    assert!(
        matches!(unread, Err(StoreError::Unavailable(_))),
        "{unread:?}"
    );
}

/// At the first start of a gate, the sweep and the first request open the new file concurrently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_first_calls_find_a_new_file_ready() {
    for _ in 0..300 {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::embedded(dir.path(), OPEN_LIMIT, keys());
        let inserting = store.clone();
        let inserted = tokio::spawn(async move {
            let first = approval("agent", "1");
            inserting.insert(first, Some(at(1))).await
        });
        store.due(at(0), None).await.unwrap();
        inserted.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_corrupt_file_is_a_503_and_can_be_replaced_without_a_restart() {
    let gate = TestGate::embedded().await;
    let path = gate.dir.path().join("approvals.db");
    std::fs::write(
        &path,
        "this is no database, whatever its name says".repeat(100),
    )
    .unwrap();
    let body = serde_json::to_vec(&request()).unwrap();
    let answer = gate.post("/api/submit", body.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "2");
    answer.problem();
    assert!(
        gate.mails().is_empty(),
        "no email is sent for a request that is not stored"
    );
    let link = format!("{}/api/decision/YQ.b{FOREIGN_LINK}", gate.url);
    let page = gate.get(&link).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.body.contains("try again in a minute"));

    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        gate.post("/api/submit", body).await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn an_unwritable_folder_is_a_503() {
    let gate = TestGate::embedded().await;
    // A folder occupies the path of the file.
    std::fs::create_dir(gate.dir.path().join("approvals.db")).unwrap();
    let answer = gate
        .post("/api/submit", serde_json::to_vec(&request()).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        !answer.body.contains("approvals.db"),
        "the response does not contain the cause"
    );
}
