//! The columns of a row, and the MAC over them (`RowSeal`) that shows whether a gate wrote them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serializer;
use serde_json::{Map, Value};

use super::key::Keys;
use crate::keys::LinkKeys;
use crate::store::error::StoreError;
use crate::store::text::Text;
use crate::values::Timestamp;

/// The columns of a row by name. Values are text, but for the numbers of version 2 and the nulls of
/// version 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store) struct Columns(pub(in crate::store) Map<String, Value>);

/// The columns that are points in time; Azure Table Storage and the report know them as such.
pub(super) const TIMES: [&str; 9] = [
    "RequestTimestamp",
    "DeadlineTimestamp",
    "ResponseTimestamp",
    "RunBy",
    AUTH_TIME,
    "ExecutionTimestamp",
    "LateResponseTimestamp",
    "NotifiedTimestamp",
    "DueTimestamp",
];

const SEAL: &str = "RowSeal";
pub(super) const REVISION: &str = "Revision";
/// What decided, where it was no person.
pub(super) const DECIDER: &str = "Decider";
/// The standing grant that decided.
pub(super) const GRANT: &str = "Grant";
/// The reason that a person chose from the list.
pub(super) const PRESET: &str = "Preset";
/// What the person asks of the agent for a changed request.
pub(super) const QUESTION: &str = "Question";
/// The earlier request that a request supersedes.
pub(super) const SUPERSEDES: &str = "Supersedes";
pub(super) const CLAIM_PERMIT: &str = "ClaimPermit";
/// The object id in Entra of the program that submitted the request.
pub(super) const AGENT_OBJECT_ID: &str = "AgentObjectId";
pub(super) const REVOCATION: &str = "Revocation";
/// When the person who decided had signed in, and the authentication context.
pub(super) const AUTH_TIME: &str = "AuthTime";
pub(super) const AUTH_CONTEXT: &str = "AuthContext";
/// `1` if a decision by sign-in takes the link or a fresh sign-in.
pub(super) const STEP_UP: &str = "StepUp";

/// How the seals of version 2 begin. A key's name has no colon.
const V2: &str = "v2:";

/// What tells an entity's type annotations from its columns.
const TYPE: &str = "@odata.type";
const DATE_TIME: &str = "Edm.DateTime";

/// The columns of a request of usual size take less.
const USUAL_BYTES: usize = 4096;

/// What rows of version 2 are sealed for: their gate and their table.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Scope<'a> {
    pub(in crate::store) gate: &'a str,
    pub(in crate::store) table: &'a str,
}

/// Which program wrote a row, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Format {
    V1,
    V2,
    /// The Logic App that the gate replaces.
    Legacy,
}

impl Columns {
    /// How often the row was written; 0 where that is not counted.
    pub(in crate::store) fn revision(&self) -> Result<u32, StoreError> {
        let revision = match self.0.get(REVISION) {
            None => Some(0),
            Some(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        };
        revision.ok_or_else(|| StoreError::damaged(REVISION))
    }

    pub(in crate::store) fn format(&self) -> Format {
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
    pub(in crate::store) fn seal(
        mut self,
        revision: u32,
        scope: Scope<'_>,
        keys: &LinkKeys,
    ) -> Self {
        self.0.insert(REVISION.to_owned(), revision.into());
        let columns = self.canonical();
        let mac = keys.row_mac_v2(scope.gate, scope.table, &columns);
        self.0.insert(SEAL.to_owned(), format!("{V2}{mac}").into());
        self
    }

    /// Verifies a row MAC of version 2, for one of these gates.
    pub(in crate::store) fn check<'a>(
        &self,
        gates: impl IntoIterator<Item = &'a str>,
        table: &str,
        keys: &LinkKeys,
    ) -> Result<(), StoreError> {
        self.gate(gates, table, keys).map(drop)
    }

    /// The one of these gates that a row MAC of version 2 is for, verified.
    pub(in crate::store) fn gate<'a>(
        &self,
        gates: impl IntoIterator<Item = &'a str>,
        table: &str,
        keys: &LinkKeys,
    ) -> Result<&'a str, StoreError> {
        let seal = self.text(SEAL).and_then(|seal| seal.strip_prefix(V2));
        let seal = seal.ok_or_else(|| StoreError::damaged(SEAL))?;
        let columns = self.canonical();
        let mut broken = "no gate is named".to_owned();
        for gate in gates {
            match keys.verify_row_mac_v2(gate, table, &columns, seal) {
                Ok(()) => return Ok(gate),
                Err(error) => broken = error.to_string(),
            }
        }
        Err(StoreError::Damaged(broken))
    }

    /// What the row MAC of version 2 covers: all columns but the MAC as text, in canonical JSON (RFC 8785). A
    /// value that the gate never writes (`null`, a list, an object) keeps its type, so that it differs from
    /// any text.
    ///
    /// Of texts under ASCII names in order, that is how `serde_json` writes them, in a third of the time.
    fn canonical(&self) -> Vec<u8> {
        let columns = self.0.iter().filter(|(name, _)| *name != SEAL);
        let columns = columns.map(|(name, value)| match value {
            Value::Number(_) | Value::Bool(_) => (name, Cow::Owned(value.to_string().into())),
            _ => (name, Cow::Borrowed(value)),
        });
        let is_plain = self.0.iter().all(|(name, value)| {
            name.is_ascii() && !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
        });
        let mut canonical = Vec::with_capacity(USUAL_BYTES);
        let written = if is_plain {
            serde_json::Serializer::new(&mut canonical).collect_map(columns)
        } else {
            let columns: BTreeMap<_, _> = columns.collect();
            serde_json_canonicalizer::to_writer(&columns, &mut canonical)
        };
        written.expect("parsed JSON can be written");
        canonical
    }

    /// The id of the key of a row MAC of version 2.
    pub(in crate::store) fn sealed_with(&self) -> Option<&str> {
        let seal = self.text(SEAL)?.strip_prefix(V2)?;
        seal.rsplit_once('.').map(|(kid, _)| kid)
    }

    /// Whether the key of the row is no longer configured. Then no row that it sealed is valid any more.
    pub(in crate::store) fn is_orphaned(&self, keys: &LinkKeys) -> bool {
        self.sealed_with().is_some_and(|kid| !keys.has(kid))
    }

    /// The columns of an entity that Azure Table Storage returned: without what the service adds, and with
    /// times in the form that was written.
    pub(in crate::store) fn from_entity(entity: Map<String, Value>) -> Self {
        let is_time = |name: &str| {
            let kind = entity.get(&format!("{name}{TYPE}")).and_then(Value::as_str);
            kind == Some(DATE_TIME)
        };
        let columns = entity.iter().filter(|(name, _)| is_column(name));
        let columns = columns.map(|(name, value)| {
            let time = value.as_str().filter(|_| is_time(name));
            let time = time.and_then(Timestamp::parse);
            let value = time.map_or_else(|| value.clone(), |time| time.to_string().into());
            (name.clone(), value)
        });
        Self(columns.collect())
    }

    /// The entity for Azure Table Storage: without empty columns, with type annotations of times.
    pub(in crate::store) fn to_entity(&self) -> Map<String, Value> {
        let mut entity = self.0.clone();
        entity.retain(|_, value| !value.is_null());
        for column in TIMES {
            if entity.contains_key(column) {
                entity.insert(format!("{column}{TYPE}"), DATE_TIME.into());
            }
        }
        entity
    }

    /// The time at which the sweep must process the row.
    pub(in crate::store) fn due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due = self.text("DueTimestamp").map(Timestamp::parse);
        due.map(|due| due.ok_or_else(|| StoreError::damaged("DueTimestamp")))
            .transpose()
    }

    /// Partition key and row key, as the columns say them.
    pub(in crate::store) fn keys(&self) -> Keys {
        let text = |name| self.text(name).unwrap_or_default().to_owned();
        (text("PartitionKey"), text("RowKey"))
    }

    /// Fails for a row that was moved to other keys.
    pub(in crate::store) fn check_keys(&self, (partition, row): &Keys) -> Result<(), StoreError> {
        for (column, key) in [("PartitionKey", partition), ("RowKey", row)] {
            if self.text(column) != Some(key) {
                return Err(StoreError::damaged(column));
            }
        }
        Ok(())
    }

    pub(in crate::store) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(in crate::store) fn set<T: Text>(&mut self, name: &str, value: &T) {
        self.0.insert(name.to_owned(), value.to_text().into());
    }

    pub(super) fn set_optional<T: Text>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Removes and parses a column. The error names the column, never its content.
    pub(super) fn take<T: Text>(&mut self, name: &'static str) -> Result<T, &'static str> {
        self.take_optional(name)?.ok_or(name)
    }

    pub(super) fn take_optional<T: Text>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, &'static str> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => T::from_text(&text).map(Some).ok_or(name),
            Some(_) => Err(name),
        }
    }
}

/// Whether a member of an entity is a column of the gate, not added by the service.
fn is_column(name: &str) -> bool {
    name != "Timestamp" && !name.starts_with("odata.") && !name.contains("@odata.")
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn texts_under_ascii_names_are_canonical_as_serde_json_writes_them() {
        let names = ["z~", "", "a\"\\\n", "a", "Z_", "A"];
        let all: String = (0..=0x2_FFFF).filter_map(char::from_u32).collect();
        let columns = names.map(|name| (name.to_owned(), all.clone().into()));
        let columns = Columns(columns.into_iter().collect());
        let canonical = serde_json_canonicalizer::to_vec(&columns.0).unwrap();
        assert!(columns.canonical() == canonical);
    }
}
