//! Unified diffs.

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::text::Text;

/// The unchanged lines that a comparison shows around a change.
const AROUND: usize = 3;

/// A text that is a unified diff throughout its hunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diff {
    pub(super) lines: Vec<DiffLine>,
    pub(super) added: usize,
    pub(super) removed: usize,
    /// How many more lines an email leaves to the page.
    pub(super) more: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DiffLine {
    pub(super) kind: Kind,
    /// The line with its sign.
    pub(super) text: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Removed,
    Other,
}

impl Diff {
    /// A text with at least one hunk, each as long as its header says. Another text with such signs is no diff: a
    /// colour must not mislead.
    pub(super) fn parse(lines: &[&str], mut show: impl FnMut(&str) -> Text) -> Option<Self> {
        let mut diff = Self {
            lines: Vec::with_capacity(lines.len()),
            added: 0,
            removed: 0,
            more: 0,
        };
        let mut hunks = 0;
        // The lines that the hunk still has, of the old file and of the new one.
        let mut left = (0, 0);
        for line in lines {
            let content = line.strip_suffix('\r').unwrap_or(line);
            let kind = match (left, content.chars().next()) {
                ((0, 0), _) => {
                    if let Some(lengths) = hunk_lengths(line) {
                        left = lengths;
                        hunks += 1;
                    }
                    Kind::Other
                }
                (_, Some('\\')) => Kind::Other,
                ((old, new), Some('+')) => {
                    left = (old, new.checked_sub(1)?);
                    diff.added += 1;
                    Kind::Added
                }
                ((old, new), Some('-')) => {
                    left = (old.checked_sub(1)?, new);
                    diff.removed += 1;
                    Kind::Removed
                }
                // Some tools drop the blank of an empty line.
                ((old, new), Some(' ') | None) => {
                    left = (old.checked_sub(1)?, new.checked_sub(1)?);
                    Kind::Other
                }
                _ => return None,
            };
            let text = show(line);
            diff.lines.push(DiffLine { kind, text });
        }
        (hunks > 0 && left == (0, 0)).then_some(diff)
    }

    /// What changed between two texts, with some lines around each change.
    pub(super) fn between(before: &str, now: &str, mut show: impl FnMut(&str) -> Text) -> Self {
        // What ends the last line of both is no further line.
        let ends = before.strip_suffix('\n').zip(now.strip_suffix('\n'));
        let (before, now) = ends.unwrap_or((before, now));
        let [before, now] = [before, now].map(|text| text.split('\n').collect::<Vec<_>>());
        let mut diff = Self {
            lines: Vec::new(),
            added: 0,
            removed: 0,
            more: 0,
        };
        let ops = capture_diff_slices(Algorithm::Myers, &before, &now);
        for hunk in group_diff_ops(ops, AROUND) {
            let text = show(&hunk_header(&hunk));
            let kind = Kind::Other;
            diff.lines.push(DiffLine { kind, text });
            for op in hunk {
                if matches!(op, DiffOp::Equal { .. }) {
                    diff.add(Kind::Other, ' ', &before[op.old_range()], &mut show);
                } else {
                    diff.add(Kind::Removed, '-', &before[op.old_range()], &mut show);
                    diff.add(Kind::Added, '+', &now[op.new_range()], &mut show);
                }
            }
        }
        diff
    }

    fn add(&mut self, kind: Kind, sign: char, lines: &[&str], show: &mut impl FnMut(&str) -> Text) {
        match kind {
            Kind::Added => self.added += lines.len(),
            Kind::Removed => self.removed += lines.len(),
            Kind::Other => {}
        }
        let lines = lines.iter().map(|line| DiffLine {
            kind,
            text: show(&format!("{sign}{line}")),
        });
        self.lines.extend(lines);
    }

    /// Such as `3 lines added, 1 removed`.
    pub(super) fn totals(&self) -> String {
        let lines = if self.added == 1 { "line" } else { "lines" };
        format!("{} {lines} added, {} removed", self.added, self.removed)
    }
}

/// Such as `@@ -1,3 +1,4 @@`.
fn hunk_header(hunk: &[DiffOp]) -> String {
    let start = hunk
        .first()
        .map_or((0, 0), |op| (op.old_range().start, op.new_range().start));
    let end = hunk
        .last()
        .map_or((0, 0), |op| (op.old_range().end, op.new_range().end));
    format!(
        "@@ -{},{} +{},{} @@",
        start.0 + 1,
        end.0 - start.0,
        start.1 + 1,
        end.1 - start.1
    )
}

/// The lengths of `@@ -1,3 +1,4 @@`, in the old file and in the new one.
fn hunk_lengths(line: &str) -> Option<(usize, usize)> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let length = |range: &str| match range.split_once(',') {
        Some((start, length)) => start
            .parse::<usize>()
            .ok()
            .and_then(|_| length.parse().ok()),
        None => range.parse::<usize>().ok().map(|_| 1),
    };
    Some((length(old)?, length(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(usize, usize)> {
        let lines: Vec<&str> = text.split('\n').collect();
        Diff::parse(&lines, Text::new).map(|diff| (diff.added, diff.removed))
    }

    #[test]
    fn a_diff_is_as_long_as_its_hunks_say() {
        let head = "--- a/x.sql\n+++ b/x.sql\n";
        assert_eq!(
            parse(&format!("{head}@@ -1,2 +1,2 @@\n a\n--- comment\n+++ plus")),
            Some((1, 1))
        );
        assert_eq!(
            parse("diff --git a b\n@@ -1 +1,2 @@ fn x\n-a\n+b\n+c\n\\ No newline at end of file\n"),
            Some((2, 1))
        );
        for no_diff in [
            "- milk\n+ bread",
            "@@ -1,2 +1,2 @@\n a\n-b",
            "@@ -1 +1 @@\n-a\n-b\n+c",
            "@@ -1 +1 @@\n-a\n*b",
            "@@ -x +1 @@\n-a\n+b",
        ] {
            assert_eq!(parse(no_diff), None, "{no_diff}");
        }
    }
}
