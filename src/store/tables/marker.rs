//! The row of the due index that marks it as whole.

use serde_json::{Map, Value};

/// Its partition and row. It has no time, so it is never due, and earlier gates never see it.
pub(super) const MARKER: (&str, &str) = ("index", "whole");

pub(super) fn is_marker(entity: &Map<String, Value>) -> bool {
    let has = |name, value| entity.get(name).is_some_and(|it| it == value);
    has("PartitionKey", MARKER.0) && has("RowKey", MARKER.1)
}
