//! The keys of a row, and the id of a write.

use human_oversight_protocol::parameters::hex;

use crate::keys::random_bytes;
use crate::store::error::StoreError;
use crate::values::ApprovalId;

/// Partition key and row key.
pub(in crate::store) type Keys = (String, String);

/// The keys of an approval's row.
pub(in crate::store) fn keys(id: &ApprovalId) -> Keys {
    (encode_key(id.agent()), encode_key(id.correlation()))
}

/// A text as a key. Each byte of a character outside `[A-Za-z0-9_.-]` becomes `~XX`, so that no key needs
/// escaping.
pub(in crate::store) fn encode_key(text: &str) -> String {
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

/// The id of the approval with these keys.
pub(in crate::store) fn id((partition_key, row_key): &Keys) -> Result<ApprovalId, StoreError> {
    let id = || ApprovalId::new(&decode_key(partition_key)?, &decode_key(row_key)?);
    id().ok_or_else(|| StoreError::damaged("PartitionKey, RowKey"))
}

pub(in crate::store) fn decode_key(key: &str) -> Option<String> {
    let mut parts = key.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// A new `OperationId`, which identifies one write.
pub(in crate::store) fn operation_id() -> String {
    hex(&random_bytes::<16>())
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
