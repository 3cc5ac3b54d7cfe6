//! Enums whose variants are stored and shown as words.

/// Declares an enum with `word` and `from_word`. The word of a variant is its name, unless another one
/// follows `=`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$doc:meta])* $variant:ident $(= $word:literal)?,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The word in rows, logs and responses.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $crate::domain::word::word!($variant $($word)?),)* }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                $(if word == $crate::domain::word::word!($variant $($word)?) {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

macro_rules! word {
    ($variant:ident) => {
        stringify!($variant)
    };
    ($variant:ident $word:literal) => {
        $word
    };
}

pub(super) use {word, words};
