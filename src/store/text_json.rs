//! The JSON of columns, and [`Text`](super::text::Text) values in it.

use serde::Serialize;

pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs are JSON")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(crate) fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A value.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::store::text::Text;

    pub(crate) fn serialize<T: Text, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.to_text())
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        T::from_text(&text).ok_or_else(|| de::Error::custom("not understood"))
    }
}

/// A value that may be missing.
pub(crate) mod optional_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::store::text::Text;

    pub(crate) fn serialize<T: Text, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Text::to_text).serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let read =
            |text: String| T::from_text(&text).ok_or_else(|| de::Error::custom("not understood"));
        text.map(read).transpose()
    }
}
