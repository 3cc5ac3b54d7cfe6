//! The columns of a row of the table `decided…`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use human_oversight_protocol::parameters::{hex, sha256};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::row::{self, Columns, Keys};
use super::text_json::json;
use crate::content;
use crate::domain::{
    Approval, Decision, Execution, PastDecision, PastValues, Range, Request, Scalars, State,
    Verdict,
};
use crate::keys::{HashPurpose, LinkKeys};
use crate::values::{Address, ApprovalId, Decimal, Timestamp};

/// The most bytes that the parameters of a request take in a row, so that it has 4 KiB at most.
const PARAMETER_BYTES: usize = 2_400;

/// Who decided. Rows of earlier versions also tell what the policy or a standing grant decided.
const BY_PERSON: &str = "Person";

/// The first number beyond the milliseconds since 1970 that a row key can have.
const KEY_MILLIS: i64 = 10_000_000_000_000;

pub(super) fn keys_of(request: &Request, at: Timestamp) -> Keys {
    (partition_of(request), row_key(&request.id, at))
}

/// When an approval was revoked, as its row says it: after the decision, whichever clock was ahead.
pub(super) fn revoked_at(approval: &Approval, decision: &Decision) -> Option<Timestamp> {
    let State::Approved {
        execution: Execution::Revoked { at, .. },
        ..
    } = approval.state
    else {
        return None;
    };
    Some(at.max(decision.at + Duration::from_millis(1)))
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

fn hash(
    keys: &LinkKeys,
    kid: &str,
    purpose: HashPurpose<'_>,
    (scope, part): (&str, &str),
) -> Result<String, StoreError> {
    let hash = keys.content_hash(kid, purpose, scope, part);
    hash.ok_or_else(|| StoreError::damaged("HashKey"))
}

/// The content of a request, exactly, without the person on whose behalf the agent acts.
fn content_of(request: &Request) -> String {
    json(&(&request.action, &request.parameters.json))
}

pub(super) fn encode(
    keys: &Keys,
    approval: &Approval,
    (verdict, at): (Verdict, Timestamp),
    link_keys: &LinkKeys,
) -> Columns {
    let request = &approval.request;
    let (kid, scope) = (link_keys.current_kid(), keys.0.as_str());
    let hash = |purpose: HashPurpose<'_>, part: &str| {
        let hash = hash(link_keys, kid, purpose, (scope, part));
        hash.expect("the current key is known")
    };
    let people = approval.approvers.iter();
    let people = people.map(|it| hash(HashPurpose::Person, &it.address.name()));
    let people: BTreeSet<String> = people.collect();
    let scalars = Scalars::of_request(request);
    let person = hash(HashPurpose::OnBehalfOf, &scalars.person());
    let parameters = Parameters::new(scalars, hash);
    let mut columns = Columns::default();
    for (name, text) in [
        ("PartitionKey", keys.0.clone()),
        ("RowKey", keys.1.clone()),
        ("OperationId", row::operation_id()),
        ("Id", request.id.to_string()),
        ("Verdict", verdict.word().to_owned()),
        ("DeciderKind", BY_PERSON.to_owned()),
        ("DecidedTimestamp", at.to_string()),
        ("HashKey", kid.to_owned()),
        (
            "ContentHash",
            hash(HashPurpose::Content, &content_of(request)),
        ),
        ("OnBehalfOfHash", person),
        ("Asked", json(&people)),
        ("Numbers", json(&parameters.numbers)),
        ("Values", json(&parameters.values)),
        ("Cut", parameters.is_cut.to_string()),
    ] {
        columns.set(name, &text);
    }
    if !parameters.lengths.is_empty() {
        columns.set("Lengths", &json(&parameters.lengths));
    }
    // An uncut row without them had none.
    let secrets = parameters.secrets;
    let secrets = secrets.filter(|it| parameters.is_cut || !it.is_empty());
    if let Some(secrets) = secrets {
        columns.set("Secrets", &json(&secrets));
    }
    columns
}

/// What a row has of the parameters, as far as they fit: hashes of texts, and bounds of numbers and lengths.
struct Parameters {
    values: BTreeMap<String, BTreeSet<String>>,
    numbers: BTreeMap<String, [String; 2]>,
    lengths: BTreeMap<String, [String; 2]>,
    /// `None` if they do not fit.
    secrets: Option<BTreeSet<String>>,
    /// Whether something does not fit.
    is_cut: bool,
}

impl Parameters {
    fn new(scalars: Scalars, hash: impl Fn(HashPurpose<'_>, &str) -> String) -> Self {
        let mut room = Room {
            left: PARAMETER_BYTES,
            is_cut: false,
        };
        let secrets = scalars.secrets.iter();
        let secrets = secrets.map(|it| hash(HashPurpose::Secret, it));
        let secrets: BTreeSet<String> = secrets.collect();
        let secrets = room.fits(json(&secrets).len()).then_some(secrets);
        let [lengths, numbers] = [scalars.lengths, scalars.numbers].map(|ranges| {
            let bounds = ranges.into_iter().map(|(pointer, range)| {
                let Range { smallest, largest } = range;
                (pointer, [smallest.to_string(), largest.to_string()])
            });
            room.take(bounds)
        });
        let values = room.take(scalars.values.into_iter().map(|(pointer, texts)| {
            let purpose = HashPurpose::Value { pointer: &pointer };
            let hashes = texts.iter().map(|text| hash(purpose, text)).collect();
            (pointer, hashes)
        }));
        Self {
            values,
            numbers,
            lengths,
            secrets,
            is_cut: room.is_cut,
        }
    }
}

/// The bytes that are left for the parameters of a row.
struct Room {
    left: usize,
    /// Whether something did not fit.
    is_cut: bool,
}

impl Room {
    /// Those of the parameters that fit.
    fn take<T: Serialize>(
        &mut self,
        parameters: impl Iterator<Item = (String, T)>,
    ) -> BTreeMap<String, T> {
        let fitting = parameters.filter(|(pointer, value)| {
            // With the colon and the comma.
            self.fits(json(pointer).len() + json(value).len() + 2)
        });
        fitting.collect()
    }

    /// Whether `size` bytes are left, which are taken then.
    fn fits(&mut self, size: usize) -> bool {
        let rest = self.left.checked_sub(size);
        self.is_cut |= rest.is_none();
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
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
    values: BTreeMap<String, Hashed>,
    secrets: Hashed,
    person: Hashed,
}

/// Each value with its hash.
type Hashed = Vec<(String, String)>;

impl<'a> Reading<'a> {
    pub(super) fn new(request: &Request, reader: &'a Address) -> Self {
        Self {
            scalars: Scalars::of_request(request),
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
        let hash_each = |purpose: HashPurpose<'_>, texts: &BTreeSet<String>| {
            let hashed = texts
                .iter()
                .map(|text| Ok((text.clone(), hash(purpose, text)?)));
            hashed.collect::<Result<Hashed, StoreError>>()
        };
        let mut values = BTreeMap::new();
        for (pointer, texts) in &self.scalars.values {
            let hashed = hash_each(HashPurpose::Value { pointer }, texts)?;
            values.insert(pointer.clone(), hashed);
        }
        let person = BTreeSet::from([self.scalars.person()]);
        Ok(HashedReading {
            content: hash(HashPurpose::Content, &self.content)?,
            reader: hash(HashPurpose::Person, &self.reader.name())?,
            values,
            secrets: hash_each(HashPurpose::Secret, &self.scalars.secrets)?,
            person: hash_each(HashPurpose::OnBehalfOf, &person)?,
        })
    }
}

/// `None` for what no person decided.
pub(super) fn decode(
    keys: &Keys,
    columns: &Columns,
    reading: &mut Reading<'_>,
    link_keys: &LinkKeys,
) -> Result<Option<PastDecision>, StoreError> {
    columns.check_keys(keys)?;
    if columns.text("DeciderKind") != Some(BY_PERSON) {
        return Ok(None);
    }
    let kid = columns
        .text("HashKey")
        .ok_or_else(|| StoreError::damaged("HashKey"))?;
    let hashed = reading.hashed(link_keys, kid, &keys.0)?;
    let hashes: BTreeMap<String, Vec<String>> = parsed_json(columns, "Values")?;
    let values = hashes.into_iter().map(|(pointer, hashes)| {
        let present = hashed.values.get(&pointer).map_or(&[][..], Vec::as_slice);
        (pointer, past_values(present, hashes))
    });
    let values = values.collect();
    // Rows of earlier versions have none of these.
    let person = columns.text("OnBehalfOfHash");
    let person = person.map(|hash| past_values(&hashed.person, vec![hash.to_owned()]));
    let is_same_person = person.as_ref().is_some_and(|it| it.missing.is_empty());
    let is_cut: bool = parsed(columns, "Cut", |text| text.parse().ok())?;
    let lengths = match columns.text("Lengths") {
        Some(_) => Some(ranges(columns, "Lengths")?),
        None => person.is_some().then(BTreeMap::new),
    };
    let secrets = match columns.text("Secrets") {
        Some(_) => Some(parsed_json(columns, "Secrets")?),
        None => (person.is_some() && !is_cut).then(Vec::new),
    };
    let asked: Vec<String> = parsed_json(columns, "Asked")?;
    Ok(Some(PastDecision {
        verdict: parsed(columns, "Verdict", Verdict::from_word)?,
        at: parsed(columns, "DecidedTimestamp", Timestamp::parse)?,
        is_same: is_same_person && columns.text("ContentHash") == Some(&hashed.content),
        reader_was_asked: asked.contains(&hashed.reader),
        values,
        numbers: ranges(columns, "Numbers")?,
        lengths,
        secrets: secrets.map(|hashes| past_values(&hashed.secrets, hashes)),
        on_behalf_of: person,
        is_cut,
    }))
}

/// Earlier values, as compared with the present ones.
fn past_values(present: &[(String, String)], hashes: Vec<String>) -> PastValues {
    let mut is_missing = vec![true; hashes.len()];
    let shared = present.iter().filter_map(|(value, hash)| {
        is_missing[hashes.binary_search(hash).ok()?] = false;
        Some(value.clone())
    });
    let shared = shared.collect();
    let missing = hashes.iter().zip(is_missing).filter(|(_, it)| *it);
    PastValues {
        shared,
        missing: missing.map(|(hash, _)| hash.clone()).collect(),
        hashes,
    }
}

fn ranges(columns: &Columns, name: &str) -> Result<BTreeMap<String, Range>, StoreError> {
    let bounds: BTreeMap<String, [String; 2]> = parsed_json(columns, name)?;
    let ranges = bounds.into_iter().map(|(pointer, bounds)| {
        let [smallest, largest] = bounds.map(|text| Decimal::parse(&text));
        let range = Range {
            smallest: smallest?,
            largest: largest?,
        };
        Some((pointer, range))
    });
    let ranges: Option<_> = ranges.collect();
    ranges.ok_or_else(|| StoreError::damaged(name))
}

fn parsed<T>(
    columns: &Columns,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let value = columns.text(name).and_then(parse);
    value.ok_or_else(|| StoreError::damaged(name))
}

fn parsed_json<T: DeserializeOwned>(columns: &Columns, name: &str) -> Result<T, StoreError> {
    parsed(columns, name, |text| serde_json::from_str(text).ok())
}
