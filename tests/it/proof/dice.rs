//! Reproducible random numbers and input mutations. Everything follows from a seed, which a failing
//! test prints.

use std::path::Path;

use serde_json::{Value, json};

/// The first seed: `HO_PROOF_SEED`, or by default the same seed for each commit.
pub(crate) fn first() -> u64 {
    let named = std::env::var("HO_PROOF_SEED");
    named.map_or(20_261_122, |seed| seed.parse().expect("HO_PROOF_SEED"))
}

/// The corpus in `tests/fuzz/{target}`.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let inputs: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert!(!inputs.is_empty(), "the corpus {target} is empty");
    inputs
}

/// Every input of the corpus unchanged, then `all` mutated inputs. Each comes with its seed, and with
/// the generator as the mutation left it.
pub(crate) fn inputs(corpus: Vec<Vec<u8>>, all: u64) -> impl Iterator<Item = (u64, Dice, Vec<u8>)> {
    let unchanged = corpus.clone().into_iter().map(|input| (0, Dice(0), input));
    let mutated = (first()..first() + all).map(move |seed| {
        let mut dice = Dice(seed);
        let input = dice.pick(&corpus).to_vec();
        let input = dice.garble(&input);
        (seed, dice, input)
    });
    unchanged.chain(mutated)
}

/// Prints the seed if the test panics.
pub(crate) struct Case(pub(crate) u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with HO_PROOF_SEED={}", self.0);
        }
    }
}

/// A deterministic pseudo-random generator (SplitMix64).
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn pick<'a, T: AsRef<[u8]>>(&mut self, from: &'a [T]) -> &'a [u8] {
        from[self.below(from.len())].as_ref()
    }

    /// The bytes with one to four mutations.
    pub(crate) fn garble(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(5) {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..at, self.pick(&FRAGMENTS).iter().copied())),
                2 => drop(bytes.splice(at..end, self.pick(&FRAGMENTS).iter().copied())),
                3 if at < end => bytes[at] ^= 1 << self.below(8),
                _ => {
                    let again = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, again));
                }
            }
        }
        bytes
    }

    /// Changes, adds, renames or removes one member or item at a random place of the JSON.
    pub(crate) fn alter(&mut self, value: &mut Value) {
        let inside = self.below(3) > 0;
        match value {
            Value::Object(members) if inside && !members.is_empty() => {
                let name = members
                    .keys()
                    .nth(self.below(members.len()))
                    .unwrap()
                    .clone();
                match self.below(5) {
                    0 => drop(members.remove(&name)),
                    1 => {
                        let member = members.remove(&name).unwrap();
                        let other = self.garble(name.as_bytes());
                        members.insert(String::from_utf8_lossy(&other).into_owned(), member);
                    }
                    _ => self.alter(&mut members[&name]),
                }
            }
            Value::Array(items) if inside && !items.is_empty() => {
                let at = self.below(items.len());
                match self.below(4) {
                    0 => drop(items.remove(at)),
                    1 => items.push(items[at].clone()),
                    _ => self.alter(&mut items[at]),
                }
            }
            Value::String(text) if inside => {
                *text = String::from_utf8_lossy(&self.garble(text.as_bytes())).into_owned();
            }
            other => {
                let before = other.take();
                *other = match self.below(12) {
                    0 => Value::Null,
                    1 => json!(true),
                    2 => json!(-1),
                    3 => json!(0.1),
                    4 => json!(u64::MAX),
                    5 => json!(1e300),
                    6 => json!(""),
                    7 => json!("x".repeat(self.below(3_000))),
                    8 => json!([before]),
                    9 => json!({"a": before}),
                    10 => json!((0..30).map(|i| i.to_string()).collect::<Vec<_>>()),
                    _ => json!(before.to_string()),
                };
            }
        }
    }
}

const FRAGMENTS: [&[u8]; 27] = [
    b"\0",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    "\u{feff}".as_bytes(),
    "\u{1f600}".as_bytes(),
    b"%00",
    b"%ff",
    b"%2e%2e%2f",
    b"%",
    b"../",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"{\"a\":",
    b"]",
    b",",
    b"1e400",
    b"-0",
    b"99999999999999999999",
    b"$serde_json::private::RawValue",
    b"&decision=approve&code=1&",
    b"&decision=reject&",
    b"=",
    b";",
    b"<script>",
];
