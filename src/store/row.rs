//! The row of an approval: its keys and columns, and the MAC (`RowSeal`) that shows whether the gate
//! wrote it.
//!
//! Column names are the legacy Logic App's where it had one. A row that contradicts itself does not
//! decode. Version 2 is sealed over every stored column, whatever its name; version 1 over a fixed list
//! ([`v1`]). Both decode from the same [`Columns`].

mod decode;
mod encode;
pub(super) mod v1;

use human_oversight_protocol::parameters::hex;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Entry, StoreError};
use crate::domain::{Approval, DeliveryFault, EventKind, Notice, Status, Verdict};
use crate::keys::{LinkKeys, keyring};
use crate::values::{Address, ApprovalId, Digest, Timestamp};

/// Partition key and row key.
pub(super) type Keys = (String, String);

/// A sealed row, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) keys: Keys,
    pub(super) columns: Columns,
    pub(super) due: Option<Timestamp>,
    pub(super) entry: Option<Entry>,
    pub(super) operation_id: String,
}

/// The columns of a row by name. Values are text, but for the numbers of version 2 and the nulls of
/// version 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Columns(pub(super) Map<String, Value>);

/// The columns that are points in time; Azure Table Storage and the report know them as such.
const TIMES: [&str; 8] = [
    "RequestTimestamp",
    "DeadlineTimestamp",
    "ResponseTimestamp",
    "RunBy",
    "ExecutionTimestamp",
    "LateResponseTimestamp",
    "NotifiedTimestamp",
    "DueTimestamp",
];

const SEAL: &str = "RowSeal";
const REVISION: &str = "Revision";

/// How the seals of version 2 begin. A key's name has no colon.
const V2: &str = "v2:";

/// What tells an entity's type annotations from its columns.
const TYPE: &str = "@odata.type";
const DATE_TIME: &str = "Edm.DateTime";

/// The keys of an approval's row: everything outside `[A-Za-z0-9_.-]` as `~XX`, one for each byte,
/// so that no key ever needs escaping.
pub(super) fn keys(id: &ApprovalId) -> Keys {
    (encode_key(id.agent()), encode_key(id.correlation()))
}

fn encode_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'_' | b'.' | b'-' => key.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => key.push(byte.into()),
            _ => key.push_str(&format!("~{byte:02X}")),
        }
    }
    key
}

/// The approval that a row's keys are for.
pub(super) fn id((partition_key, row_key): &Keys) -> Result<ApprovalId, StoreError> {
    let id = || ApprovalId::new(&decode_key(partition_key)?, &decode_key(row_key)?);
    id().ok_or_else(|| StoreError::Damaged("PartitionKey, RowKey".to_owned()))
}

fn decode_key(key: &str) -> Option<String> {
    let mut parts = key.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// A fresh `OperationId`, which names one write.
pub(super) fn operation_id() -> String {
    hex(&keyring::random_bytes::<16>())
}

/// What rows of version 2 are sealed for: their gate and their table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) gate: &'a str,
    pub(super) table: &'a str,
}

/// Which program wrote a row, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    V1,
    V2,
    /// The Logic App that the gate replaces.
    Legacy,
}

impl Columns {
    /// The columns of an approval that is due at `due`, not sealed yet.
    pub(super) fn encode(
        approval: &Approval,
        due: Option<Timestamp>,
        entry: Option<&Entry>,
        operation_id: &str,
    ) -> Result<Self, StoreError> {
        encode::encode(approval, due, entry, operation_id)
    }

    /// The approval in a row whose seal was checked, and its revision; 0 in version 1.
    pub(super) fn decode(&self, id: &ApprovalId) -> Result<(Approval, u32), StoreError> {
        let mut rest = self.clone();
        rest.0.retain(|_, value| !value.is_null());
        let revision = rest.revision()?;
        rest.0.remove(REVISION);
        let damaged = |column: &str| StoreError::Damaged(column.to_owned());
        let approval = decode::decode(&mut rest, id).map_err(damaged)?;
        match rest.0.keys().next() {
            None => Ok((approval, revision)),
            Some(column) if decode::DECISION.contains(&column.as_str()) => Err(damaged(column)),
            // The gate that sealed it knew more than this version, and may have meant more.
            Some(column) => Err(StoreError::LaterVersion(column.clone())),
        }
    }

    /// How often the row was written; 0 where that is not counted.
    pub(super) fn revision(&self) -> Result<u32, StoreError> {
        let revision = match self.0.get(REVISION) {
            None => Some(0),
            Some(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        };
        revision.ok_or_else(|| StoreError::Damaged(REVISION.to_owned()))
    }

    pub(super) fn format(&self) -> Format {
        let has = |column: &&str| self.0.contains_key(*column);
        let legacy = ["ActionDescription", "RequestTimestamp", "Status"];
        let ours = [
            "CorrelationId",
            "RequestDigest",
            "Notifications",
            "History",
            "Receipt",
            "OperationId",
            SEAL,
        ];
        if legacy.iter().all(has) && !ours.iter().any(has) {
            return Format::Legacy;
        }
        match self.text(SEAL) {
            Some(seal) if seal.starts_with(V2) => Format::V2,
            _ => Format::V1,
        }
    }

    /// Seals the columns as version 2.
    pub(super) fn seal(mut self, revision: u32, scope: Scope<'_>, keys: &LinkKeys) -> Self {
        self.0.insert(REVISION.to_owned(), revision.into());
        let columns = self.canonical();
        let mac = keys.columns_mac(scope.gate, scope.table, &columns);
        self.0.insert(SEAL.to_owned(), format!("{V2}{mac}").into());
        self
    }

    /// Checks a seal of version 2, made for one of these gates.
    pub(super) fn check<'a>(
        &self,
        gates: impl IntoIterator<Item = &'a str>,
        table: &str,
        keys: &LinkKeys,
    ) -> Result<(), StoreError> {
        let seal = self.text(SEAL).and_then(|seal| seal.strip_prefix(V2));
        let seal = seal.ok_or_else(|| StoreError::Damaged(SEAL.to_owned()))?;
        let columns = self.canonical();
        let mut checked = Ok(());
        for gate in gates {
            checked = keys.verify_columns_mac(gate, table, &columns, seal);
            if checked.is_ok() {
                break;
            }
        }
        checked.map_err(|broken| StoreError::Damaged(broken.to_string()))
    }

    /// What version 2 seals: all columns but the seal as text, in the form of RFC 8785. A value that the gate
    /// never writes (`null`, a list, an object) stays what it is, and so is never taken for text.
    fn canonical(&self) -> Vec<u8> {
        let text = |value: &Value| match value {
            Value::Number(_) | Value::Bool(_) => value.to_string().into(),
            _ => value.clone(),
        };
        let columns = self.0.iter().filter(|(name, _)| *name != SEAL);
        let columns: Map<_, _> = columns
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        serde_json_canonicalizer::to_vec(&columns).expect("parsed JSON can be written")
    }

    /// The name of the key that a seal of version 2 was made with.
    pub(super) fn sealed_with(&self) -> Option<&str> {
        let seal = self.text(SEAL)?.strip_prefix(V2)?;
        seal.rsplit_once('.').map(|(kid, _)| kid)
    }

    /// Of what Azure Table Storage gave back: without what the service adds, and times as they were
    /// given to it.
    pub(super) fn from_entity(entity: Map<String, Value>) -> Self {
        let is_time = |name: &str| {
            let kind = entity.get(&format!("{name}{TYPE}")).and_then(Value::as_str);
            kind == Some(DATE_TIME)
        };
        let columns = entity.iter().filter(|(name, _)| is_column(name));
        let columns = columns.map(|(name, value)| {
            let time = value.as_str().filter(|_| is_time(name)).and_then(time);
            let value = time.map_or_else(|| value.clone(), |time| time.to_string().into());
            (name.clone(), value)
        });
        Self(columns.collect())
    }

    /// As Azure Table Storage takes them: no empty columns, and times that say so.
    pub(super) fn to_entity(&self) -> Map<String, Value> {
        let mut entity = self.0.clone();
        entity.retain(|_, value| !value.is_null());
        for column in TIMES {
            if entity.contains_key(column) {
                entity.insert(format!("{column}{TYPE}"), DATE_TIME.into());
            }
        }
        entity
    }

    /// When the gate must process the row again.
    pub(super) fn due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due = self.text("DueTimestamp").map(time);
        due.map(|due| due.ok_or_else(|| StoreError::Damaged("DueTimestamp".to_owned())))
            .transpose()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn set<T: Text>(&mut self, name: &str, value: &T) {
        self.0.insert(name.to_owned(), value.to_text().into());
    }

    fn set_optional<T: Text>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Takes a column out. The error names the column, never what is in it.
    fn take<T: Text>(&mut self, name: &'static str) -> Result<T, &'static str> {
        self.take_optional(name)?.ok_or(name)
    }

    fn take_optional<T: Text>(&mut self, name: &'static str) -> Result<Option<T>, &'static str> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => T::from_text(&text).map(Some).ok_or(name),
            Some(_) => Err(name),
        }
    }
}

/// Whether a member of an entity is a column, and nothing that the service adds.
fn is_column(name: &str) -> bool {
    name != "Timestamp" && !name.starts_with("odata.") && !name.contains("@odata.")
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text)
}

/// A value that is stored as text.
pub(super) trait Text: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

impl Text for String {
    fn to_text(&self) -> String {
        self.clone()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Types that print themselves and are read by a function.
macro_rules! text {
    ($($name:ty: $read:expr,)*) => {
        $(impl Text for $name {
            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Option<Self> {
                $read(text)
            }
        })*
    };
}

text! {
    Timestamp: Timestamp::parse,
    Address: Address::parse,
    Digest: Digest::parse,
    Uuid: |text: &str| Uuid::parse_str(text).ok(),
}

/// Enums that are stored by name.
macro_rules! words {
    ($($name:ty,)*) => {
        $(impl Text for $name {
            fn to_text(&self) -> String {
                self.word().to_owned()
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::from_word(text)
            }
        })*
    };
}

words! {
    Status,
    Verdict,
    Notice,
    DeliveryFault,
    EventKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_need_no_escaping() {
        let asked = ApprovalId::new("Ä/b\\c#d?e'f~g h", "x.y_z-1").unwrap();
        let keys = keys(&asked);
        assert_eq!(id(&keys).unwrap(), asked);
        for broken in ["a~", "a~f", "a~ff", "a~zz"] {
            assert!(id(&(broken.to_owned(), "x".to_owned())).is_err());
        }
        assert_eq!(keys.0, "~C3~84~2Fb~5Cc~23d~3Fe~27f~7Eg~20h");
        assert_eq!(keys.1, "x.y_z-1");
    }
}
