//! The columns of a row of the table `decided…`.

use std::collections::{BTreeMap, BTreeSet};

use human_oversight_protocol::parameters::{hex, sha256};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::row::{self, Columns, Keys};
use crate::content;
use crate::domain::{
    Approval, DeciderKind, Decision, PastDecision, PastValues, Range, Request, Scalars, State,
    Verdict,
};
use crate::keys::{HashPurpose, LinkKeys};
use crate::values::{Address, ApprovalId, Decimal, Timestamp};

/// The most bytes that the parameters of a request take in a row, so that it has 4 KiB at most.
const PARAMETER_BYTES: usize = 2_400;

/// The first number beyond the milliseconds since 1970 that a row key can have.
const KEY_MILLIS: i64 = 10_000_000_000_000;

pub(super) fn keys_of(request: &Request, decision: &Decision) -> Keys {
    (partition_of(request), row_key(&request.id, decision.at))
}

/// The key of what happened to a request at a time: the newest comes first.
pub(super) fn row_key(id: &ApprovalId, at: Timestamp) -> String {
    let millis = at.unix_millis().clamp(0, KEY_MILLIS - 1);
    let newest_first = KEY_MILLIS - 1 - millis;
    let id = sha256(id.to_string().as_bytes());
    format!("{newest_first:013}{}", hex(&id[..4]))
}

pub(super) fn partition_of(request: &Request) -> String {
    let owner = request.owner.as_ref().map(ToString::to_string);
    let action = content::action(&request.action);
    // No owner, agent or normal form has a line feed.
    let scope = [
        owner.as_deref().unwrap_or_default(),
        request.id.agent(),
        &action,
    ];
    hex(&sha256(scope.join("\n").as_bytes())[..8])
}

fn scalars(request: &Request) -> Scalars {
    let parameters = serde_json::from_str(&request.parameters.json);
    Scalars::of(&parameters.expect("canonical JSON parses"))
}

fn hash(
    keys: &LinkKeys,
    kid: &str,
    purpose: HashPurpose<'_>,
    (scope, part): (&str, &str),
) -> Result<String, StoreError> {
    let hash = keys.content_hash(kid, purpose, scope, part);
    hash.ok_or_else(|| damaged("HashKey"))
}

/// The content of a request, exactly.
fn content_of(request: &Request) -> String {
    json(&(&request.action, &request.parameters.json))
}

pub(super) fn encode(
    keys: &Keys,
    approval: &Approval,
    decision: &Decision,
    link_keys: &LinkKeys,
) -> Columns {
    let request = &approval.request;
    let (kid, scope) = (link_keys.current_kid(), keys.0.as_str());
    let hash = |purpose: HashPurpose<'_>, part: &str| {
        let hash = hash(link_keys, kid, purpose, (scope, part));
        hash.expect("the current key is known")
    };
    let people = approval.approvers.iter();
    let people = people.map(|it| hash(HashPurpose::Person, &it.address.person()));
    let people: BTreeSet<String> = people.collect();
    let scalars = scalars(request);
    let mut left = PARAMETER_BYTES;
    let mut is_cut = false;
    let mut numbers = BTreeMap::new();
    for (pointer, Range { smallest, largest }) in scalars.numbers {
        let bounds = [smallest.to_string(), largest.to_string()];
        take(&mut left, &mut is_cut, &mut numbers, (pointer, bounds));
    }
    let mut values = BTreeMap::new();
    for (pointer, texts) in scalars.values {
        let purpose = HashPurpose::Value { pointer: &pointer };
        let hashes: BTreeSet<String> = texts.iter().map(|text| hash(purpose, text)).collect();
        take(&mut left, &mut is_cut, &mut values, (pointer, hashes));
    }
    let mut columns = Columns::default();
    let verdict = match approval.state {
        State::Rejected(_) => Verdict::Reject,
        _ => Verdict::Approve,
    };
    for (name, text) in [
        ("PartitionKey", keys.0.clone()),
        ("RowKey", keys.1.clone()),
        ("OperationId", row::operation_id()),
        ("Id", request.id.to_string()),
        ("Verdict", verdict.word().to_owned()),
        (
            "DeciderKind",
            DeciderKind::of(&decision.by).word().to_owned(),
        ),
        ("DecidedTimestamp", decision.at.to_string()),
        ("HashKey", kid.to_owned()),
        (
            "ContentHash",
            hash(HashPurpose::Content, &content_of(request)),
        ),
        ("Asked", json(&people)),
        ("Numbers", json(&numbers)),
        ("Values", json(&values)),
        ("Cut", is_cut.to_string()),
    ] {
        columns.set(name, &text);
    }
    columns
}

/// Adds a parameter, if it fits into the bytes that are left.
fn take<T: Serialize>(
    left: &mut usize,
    is_cut: &mut bool,
    taken: &mut BTreeMap<String, T>,
    (pointer, value): (String, T),
) {
    // With the colon and the comma.
    let size = json(&pointer).len() + json(&value).len() + 2;
    if size > *left {
        *is_cut = true;
        return;
    }
    *left -= size;
    taken.insert(pointer, value);
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts can be written")
}

/// What is asked now, and who reads about it.
pub(super) struct Reading<'a> {
    scalars: Scalars,
    content: String,
    reader: &'a Address,
    /// By the id of the key.
    hashed: BTreeMap<String, HashedReading>,
}

/// The hashes under one key, which are the same for all rows of a partition.
struct HashedReading {
    content: String,
    reader: String,
    /// Each value with its hash, by pointer.
    values: BTreeMap<String, Vec<(String, String)>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(request: &Request, reader: &'a Address) -> Self {
        Self {
            scalars: scalars(request),
            content: content_of(request),
            reader,
            hashed: BTreeMap::new(),
        }
    }

    fn hashed(
        &mut self,
        link_keys: &LinkKeys,
        kid: &str,
        scope: &str,
    ) -> Result<&HashedReading, StoreError> {
        if !self.hashed.contains_key(kid) {
            let hashed = self.hash(link_keys, kid, scope)?;
            self.hashed.insert(kid.to_owned(), hashed);
        }
        Ok(&self.hashed[kid])
    }

    fn hash(
        &self,
        link_keys: &LinkKeys,
        kid: &str,
        scope: &str,
    ) -> Result<HashedReading, StoreError> {
        let hash =
            |purpose: HashPurpose<'_>, part: &str| hash(link_keys, kid, purpose, (scope, part));
        let mut values = BTreeMap::new();
        for (pointer, texts) in &self.scalars.values {
            let texts = texts.iter();
            let hashed = texts.map(|text| {
                let hash = hash(HashPurpose::Value { pointer }, text)?;
                Ok((text.clone(), hash))
            });
            values.insert(pointer.clone(), hashed.collect::<Result<_, StoreError>>()?);
        }
        Ok(HashedReading {
            content: hash(HashPurpose::Content, &self.content)?,
            reader: hash(HashPurpose::Person, &self.reader.person())?,
            values,
        })
    }
}

pub(super) fn decode(
    keys: &Keys,
    columns: &Columns,
    reading: &mut Reading<'_>,
    link_keys: &LinkKeys,
) -> Result<PastDecision, StoreError> {
    check_keys(keys, columns)?;
    let kid = columns.text("HashKey").ok_or_else(|| damaged("HashKey"))?;
    let hashed = reading.hashed(link_keys, kid, &keys.0)?;
    let hashes: BTreeMap<String, Vec<String>> = parsed_json(columns, "Values")?;
    let values = hashes.into_iter().map(|(pointer, hashes)| {
        let present = hashed.values.get(&pointer).map_or(&[][..], Vec::as_slice);
        let mut is_missing = vec![true; hashes.len()];
        let shared = present.iter().filter_map(|(value, hash)| {
            is_missing[hashes.binary_search(hash).ok()?] = false;
            Some(value.clone())
        });
        let shared = shared.collect();
        let missing = hashes.iter().zip(is_missing).filter(|(_, it)| *it);
        let values = PastValues {
            shared,
            missing: missing.map(|(hash, _)| hash.clone()).collect(),
            hashes,
        };
        (pointer, values)
    });
    let values = values.collect();
    let bounds: BTreeMap<String, [String; 2]> = parsed_json(columns, "Numbers")?;
    let numbers = bounds.into_iter().map(|(pointer, bounds)| {
        let [smallest, largest] = bounds.map(|text| Decimal::parse(&text));
        let range = Range {
            smallest: smallest?,
            largest: largest?,
        };
        Some((pointer, range))
    });
    let numbers: Option<BTreeMap<String, Range>> = numbers.collect();
    let asked: Vec<String> = parsed_json(columns, "Asked")?;
    Ok(PastDecision {
        verdict: parsed(columns, "Verdict", Verdict::from_word)?,
        by: parsed(columns, "DeciderKind", DeciderKind::from_word)?,
        at: parsed(columns, "DecidedTimestamp", Timestamp::parse)?,
        is_same: columns.text("ContentHash") == Some(&hashed.content),
        reader_was_asked: asked.contains(&hashed.reader),
        values,
        numbers: numbers.ok_or_else(|| damaged("Numbers"))?,
        is_cut: parsed(columns, "Cut", |text| text.parse().ok())?,
    })
}

/// Fails for a row that was moved to other keys.
pub(super) fn check_keys((partition, key): &Keys, columns: &Columns) -> Result<(), StoreError> {
    for (column, key) in [("PartitionKey", partition), ("RowKey", key)] {
        if columns.text(column) != Some(key) {
            return Err(damaged(column));
        }
    }
    Ok(())
}

fn parsed<T>(
    columns: &Columns,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let value = columns.text(name).and_then(parse);
    value.ok_or_else(|| damaged(name))
}

fn parsed_json<T: DeserializeOwned>(columns: &Columns, name: &str) -> Result<T, StoreError> {
    parsed(columns, name, |text| serde_json::from_str(text).ok())
}

fn damaged(column: &str) -> StoreError {
    StoreError::Damaged(column.to_owned())
}
