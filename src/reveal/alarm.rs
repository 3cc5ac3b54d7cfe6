//! One alarm, and which are more serious.

/// What is wrong with a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub deception: Deception,
    pub excerpt: String,
    /// A sentence about the excerpt, without a subject and a full stop.
    pub what: String,
}

/// What a reader could be deceived by, the most serious first: what reads as something else, then what may escape the
/// eye, then what other programs show otherwise, then what is often an accident. Alarms are shown in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deception {
    /// Two names of one object that look alike.
    Names,
    /// Letters that could be mistaken for others.
    Letters,
    /// Symbols in the place of letters.
    StandIns,
    /// Punctuation that could be mistaken for other punctuation.
    Punctuation,
    /// Digits of two kinds in one number.
    Digits,
    /// A text behind a long blank space.
    Blanks,
    /// Numbers that other programs may show reversed.
    Direction,
    /// Words that other programs may decode.
    Encoding,
    /// More or other marks on letters than a language has.
    Marks,
    /// Characters that are not in the usual form.
    Form,
}
