//! Enums whose variants are stored and shown as words.

/// Declares an enum with `ALL`, `word` and `from_word`. The word of a variant is its name, unless another one
/// follows `=`.
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident $(= $word:literal)?,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// In the order of their declaration.
            $vis const ALL: [Self; [$(Self::$variant,)*].len()] = [$(Self::$variant,)*];

            /// The word in rows, logs and responses.
            $vis fn word(self) -> &'static str {
                match self { $(Self::$variant => $crate::values::word::word!($variant $($word)?),)* }
            }

            $vis fn from_word(word: &str) -> Option<Self> {
                $(if word == $crate::values::word::word!($variant $($word)?) {
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

pub(crate) use {word, words};
