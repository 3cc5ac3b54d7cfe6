//! Shortens parameters to what an email shows, and says whether it is small enough then.

use super::block::{Block, Lines, Table};
use super::diff::Diff;
use super::parameters::ParametersView;
use super::text::{Text, truncate};

/// How much of the parameters an email shows at most, in lines and in bytes, of one value, in lines, and how deep it is
/// nested. Each byte beyond ASCII takes three in either part of the email.
const SHOWN_LINES: usize = 120;
const SHOWN_BYTES: usize = 8_000;
const VALUE_LINES: usize = 20;
const SHOWN_LEVELS: usize = 8;

/// What stands for a value of one line that has no room.
const LEFT_OUT: &str = "only on the page";

/// How much of what changed an email shows at most, above the parameters.
const CHANGED_LINES: usize = 60;
const CHANGED_BYTES: usize = 3_000;

/// The most bytes of an email's HTML, so that mail programs show its end, and of its two parts as they are sent.
const HTML_BYTES: usize = 60_000;
const SENT_BYTES: usize = 95_000;

/// The parts of the usual room that are tried, one after another, until an email is small enough: how many bytes a text
/// takes depends on what must be marked in it.
pub(super) const SHARES: [usize; 5] = [1, 2, 4, 8, 16];

/// How many characters of a text of a person's, or of the agent's own words, an email shows at least.
const LEAST_CHARS: usize = 60;

/// Whether mail programs show an email with these parts to its end.
pub(super) fn is_small(text: &str, html: &str) -> bool {
    crlf_bytes(html) < HTML_BYTES && sent_bytes(text) + sent_bytes(html) < SENT_BYTES
}

/// About how many bytes a part has as it is sent: in base64 if more than a third of it is beyond ASCII, else
/// quoted-printable (RFC 2045, sections 6.7 and 6.8).
fn sent_bytes(part: &str) -> usize {
    let escaped = part
        .bytes()
        .filter(|byte| matches!(byte, b'=' | 0x80..))
        .count();
    let whole = crlf_bytes(part);
    let bytes = if escaped > whole / 3 {
        whole.div_ceil(3) * 4
    } else {
        whole + 2 * escaped
    };
    // Each line has at most 76 bytes, of which three end it.
    bytes + bytes / 73 * 3
}

/// How many bytes a part has with two at the end of each line.
fn crlf_bytes(part: &str) -> usize {
    part.len() + part.matches('\n').count()
}

/// The parameters as an email shows them in a `share`th of the usual room. What it leaves to the page is counted in them.
pub(super) fn fold(parameters: ParametersView, share: usize) -> ParametersView {
    let mut room = Room::new(SHOWN_LINES / share, SHOWN_BYTES / share);
    ParametersView {
        first: parameters.first.map(|block| room.fold(block)),
        rest: parameters.rest.map(|block| room.fold(block)),
    }
}

/// What changed, in the same way.
pub(super) fn fold_changes(changes: Block, share: usize) -> Block {
    Room::new(CHANGED_LINES / share, CHANGED_BYTES / share).fold(changes)
}

/// A text of a person's, or the agent's own words, in the same way.
pub(super) fn fold_words(words: &str, share: usize) -> String {
    let shown = words.chars().count().div_ceil(share);
    truncate(words, shown.max(LEAST_CHARS))
}

/// What is left of the email.
struct Room {
    lines: usize,
    bytes: usize,
    levels: usize,
}

impl Room {
    fn new(lines: usize, bytes: usize) -> Self {
        let levels = SHOWN_LEVELS;
        Self {
            lines,
            bytes,
            levels,
        }
    }

    fn fold(&mut self, block: Block) -> Block {
        if self.levels == 0 && !block.is_line() {
            return Block::Folded(block.count());
        }
        let levels = self.levels;
        self.levels = levels.saturating_sub(1);
        let folded = self.fold_level(block);
        self.levels = levels;
        folded
    }

    fn fold_level(&mut self, block: Block) -> Block {
        match block {
            Block::Value(text) if !self.take(&text) => Block::Label(LEFT_OUT),
            Block::Lines(Lines { mut lines, more }) => {
                let shown = self.fitting(lines.iter());
                let more = more + lines.len() - shown;
                lines.truncate(shown);
                Block::Lines(Lines { lines, more })
            }
            Block::Diff(mut diff) => {
                let shown = self.fitting(diff.lines.iter().map(|line| &line.text));
                let more = diff.more + diff.lines.len() - shown;
                diff.lines.truncate(shown);
                Block::Diff(Diff { more, ..diff })
            }
            Block::Members(members) => {
                let mut shown = Vec::new();
                let mut folded = 0;
                for (name, member) in members {
                    if self.take(&name) {
                        shown.push((name, self.fold(member)));
                    } else {
                        folded += member.count();
                    }
                }
                with_rest(
                    shown,
                    folded,
                    |folded| (Text::default(), folded),
                    Block::Members,
                )
            }
            Block::Items(items) => {
                let mut shown = Vec::new();
                let mut folded = 0;
                for item in items {
                    if self.lines > 0 && self.bytes > 0 {
                        shown.push(self.fold(item));
                    } else {
                        folded += item.count();
                    }
                }
                with_rest(shown, folded, |folded| folded, Block::Items)
            }
            Block::Table(mut table) => {
                let rows = table.rows.len();
                table.rows = table
                    .rows
                    .into_iter()
                    .take_while(|row| self.take_row(row))
                    .collect();
                let more = table.more + rows - table.rows.len();
                Block::Table(Table { more, ..table })
            }
            block => block,
        }
    }

    /// Whether a line fits; then there is less room.
    fn take(&mut self, text: &Text) -> bool {
        let bytes = text.bytes();
        let fits = self.lines > 0 && bytes <= self.bytes;
        if fits {
            self.lines -= 1;
            self.bytes -= bytes;
        }
        fits
    }

    fn take_row(&mut self, row: &[Block]) -> bool {
        row.iter().all(|cell| match cell {
            Block::Value(text) => self.take(text),
            _ => self.lines > 0,
        })
    }

    /// How many of the lines of one value fit.
    fn fitting<'a>(&mut self, lines: impl Iterator<Item = &'a Text>) -> usize {
        lines
            .take(VALUE_LINES)
            .take_while(|line| self.take(line))
            .count()
    }
}

fn with_rest<T>(
    mut shown: Vec<T>,
    folded: usize,
    rest: impl Fn(Block) -> T,
    block: impl Fn(Vec<T>) -> Block,
) -> Block {
    match (shown.is_empty(), folded) {
        (_, 0) => block(shown),
        (true, _) => Block::Folded(folded),
        (false, _) => {
            shown.push(rest(Block::Folded(folded)));
            block(shown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::secrets::Secrets;
    use super::*;
    use serde_json::{Value, json};

    fn folded(value: Value) -> Block {
        let whole = ParametersView::new(&value, Secrets::Withheld, &[], &mut str::to_owned);
        fold(whole, 1).rest.unwrap()
    }

    #[test]
    fn what_fits_is_shown_and_the_rest_is_counted() {
        let script = vec!["echo"; 41].join("\n");
        let Block::Members(members) = folded(json!({"script": script})) else {
            panic!();
        };
        let Block::Lines(lines) = &members[0].1 else {
            panic!();
        };
        assert_eq!((lines.lines.len(), lines.more), (20, 21));

        let many: Vec<Value> = (0..300).map(|n| json!([n])).collect();
        let Block::Members(members) = folded(json!({"many": many})) else {
            panic!();
        };
        let Block::Items(items) = &members[0].1 else {
            panic!();
        };
        assert_eq!(
            (items.len(), items.last()),
            (120, Some(&Block::Folded(181)))
        );

        let rows: Vec<Value> = (0..300).map(|n| json!({"id": n})).collect();
        let Block::Members(members) = folded(json!({"rows": rows})) else {
            panic!();
        };
        let Block::Table(table) = &members[0].1 else {
            panic!();
        };
        assert_eq!((table.rows.len(), table.more), (119, 181));
        let deep = (0..20).fold(json!("end"), |inner, _| json!({"level": inner}));
        assert!(format!("{:?}", folded(deep)).contains("Folded(1)"));
        assert_eq!(
            folded(json!({"long": "x".repeat(9_000), "short": "y"})),
            Block::Members(vec![
                (Text::new("long"), Block::Label(LEFT_OUT)),
                (Text::new("short"), Block::Value(Text::new("y")))
            ])
        );
    }
}
