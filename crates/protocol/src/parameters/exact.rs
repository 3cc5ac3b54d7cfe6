//! Checks every number of a value before it is written as JSON, because readers silently round large
//! integers, and writers write `null` for infinities and NaN, and `0` for `-0`.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use crate::MAX_INTEGER;
use crate::decimal::{is_exact, is_zero};

/// As a struct of this name serde_json serializes a number if any crate of the program has its feature
/// `arbitrary_precision`: the one field is the number's decimal text, which may have any number of digits.
const DECIMAL: &str = "$serde_json::private::Number";

/// How much of a decimal text an error repeats.
const SHOWN_CHARS: usize = 40;

const NEGATIVE_ZERO: &str = "-0 would be shown as 0";

/// Whether JSON represents every number of the value exactly.
pub(super) fn check(value: &impl Serialize) -> Result<(), Inexact> {
    value.serialize(Check { in_decimal: false })
}

/// Which number JSON would change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Inexact(pub(super) String);

impl ser::Error for Inexact {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// A serializer without output.
#[derive(Clone, Copy)]
struct Check {
    /// Whether a text is the digits of a number.
    in_decimal: bool,
}

fn integer(number: impl fmt::Display, magnitude: u128) -> Result<(), Inexact> {
    if magnitude <= MAX_INTEGER.into() {
        return Ok(());
    }
    Err(Inexact(format!("{number} is beyond ±(2^53 - 1)")))
}

/// A double beyond [`MAX_INTEGER`] is a whole number.
fn float(number: f64) -> Result<(), Inexact> {
    Err(Inexact(if !number.is_finite() {
        format!("JSON cannot represent the number {number}")
    } else if number.abs() > MAX_INTEGER as f64 {
        format!("{number} is beyond ±(2^53 - 1)")
    } else if number == 0.0 && number.is_sign_negative() {
        NEGATIVE_ZERO.to_owned()
    } else {
        return Ok(());
    }))
}

fn decimal(text: &str) -> Result<(), Inexact> {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let is_large = |double: f64| double.abs() > MAX_INTEGER as f64;
    Err(Inexact(if text.parse().is_ok_and(is_large) {
        format!("{shown} is beyond ±(2^53 - 1)")
    } else if !is_exact(text) {
        format!("a double would change the number {shown}")
    } else if text.starts_with('-') && is_zero(text) {
        NEGATIVE_ZERO.to_owned()
    } else {
        return Ok(());
    }))
}

/// Methods for values without numbers.
macro_rules! plain {
    ($($method:ident($($type:ty),*);)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<(), Inexact> { Ok(()) })*
    };
}

/// Methods that begin a compound.
macro_rules! begin {
    ($($method:ident($($type:ty),*) -> $compound:ident;)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<Self::$compound, Inexact> { Ok(self) })*
    };
}

impl Serializer for Check {
    type Ok = ();
    type Error = Inexact;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    plain! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_char(char);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    begin! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_str(self, text: &str) -> Result<(), Inexact> {
        if self.in_decimal {
            decimal(text)?;
        }
        Ok(())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, Inexact> {
        Ok(Self {
            in_decimal: name == DECIMAL,
        })
    }

    fn serialize_i64(self, number: i64) -> Result<(), Inexact> {
        integer(number, number.unsigned_abs().into())
    }

    fn serialize_u64(self, number: u64) -> Result<(), Inexact> {
        integer(number, number.into())
    }

    fn serialize_i128(self, number: i128) -> Result<(), Inexact> {
        integer(number, number.unsigned_abs())
    }

    fn serialize_u128(self, number: u128) -> Result<(), Inexact> {
        integer(number, number)
    }

    fn serialize_f32(self, number: f32) -> Result<(), Inexact> {
        float(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Inexact> {
        float(number)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Inexact> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Inexact> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Inexact> {
        value.serialize(self)
    }
}

/// A compound, whose values are checked one by one.
macro_rules! compound {
    ($($trait:ident { $method:ident($($name:ty)?) })*) => {
        $(impl ser::$trait for Check {
            type Ok = ();
            type Error = Inexact;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), Inexact> {
                value.serialize(*self)
            }

            fn end(self) -> Result<(), Inexact> {
                Ok(())
            }
        })*
    };
}

compound! {
    SerializeSeq { serialize_element() }
    SerializeTuple { serialize_element() }
    SerializeTupleStruct { serialize_field() }
    SerializeTupleVariant { serialize_field() }
    SerializeStruct { serialize_field(&'static str) }
    SerializeStructVariant { serialize_field(&'static str) }
}

impl ser::SerializeMap for Check {
    type Ok = ();
    type Error = Inexact;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Inexact> {
        // A number becomes a text, which has the same limits.
        key.serialize(*self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Inexact> {
        value.serialize(*self)
    }

    fn end(self) -> Result<(), Inexact> {
        Ok(())
    }
}
