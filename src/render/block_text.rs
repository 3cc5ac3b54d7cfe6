//! Blocks in the plain part of an email.

use super::block::Block;
use super::quotes::label;
use super::text::Text;

/// The longest name that its value is aligned with.
const ALIGNED_CHARS: usize = 24;

impl Block {
    /// The lines of a plain text.
    pub(super) fn in_plain_text(&self) -> String {
        let mut lines = Vec::new();
        self.write(0, &mut lines);
        lines.join("\n")
    }

    fn write(&self, indent: usize, out: &mut Vec<String>) {
        let pad = " ".repeat(indent);
        let mut numbered = |lines: &mut dyn Iterator<Item = &Text>, more: usize| {
            for (number, line) in (1..).zip(lines) {
                out.push(format!("{pad}{number:>4}  {}", line.in_plain_text()));
            }
            if more > 0 {
                let more = label(&format!("{more} more lines on the page"));
                out.push(format!("{pad}      {more}"));
            }
        };
        match self {
            Self::Lines(lines) => numbered(&mut lines.lines.iter(), lines.more),
            Self::Diff(diff) => {
                numbered(&mut diff.lines.iter().map(|line| &line.text), diff.more);
                out.push(format!("{pad}      {}", label(&diff.totals())));
            }
            Self::Members(members) => {
                let members = members.iter().map(|(name, member)| (name, member));
                write_members(&members.collect::<Vec<_>>(), indent, out);
            }
            Self::Table(table) => {
                for row in &table.rows {
                    let cells: Vec<_> = table.names.iter().zip(row).collect();
                    out.push(format!("{pad}-"));
                    write_members(&cells, indent + 2, out);
                }
                if table.more > 0 {
                    let more = label(&format!("{} more rows on the page", table.more));
                    out.push(format!("{pad}{more}"));
                }
            }
            Self::Items(items) => {
                for item in items {
                    if item.is_line() {
                        out.push(format!("{pad}- {}", item.line()));
                    } else {
                        out.push(format!("{pad}-"));
                        item.write(indent + 2, out);
                    }
                }
            }
            line => out.push(format!("{pad}{}", line.line())),
        }
    }

    /// A block that is one line; empty for another.
    fn line(&self) -> String {
        match self {
            Self::Value(text) => text.in_plain_text(),
            Self::Word(word) => (*word).to_owned(),
            Self::Label(words) => label(words),
            Self::Folded(values) => label(&format!("{values} more on the page")),
            _ => String::new(),
        }
    }
}

fn write_members(members: &[(&Text, &Block)], indent: usize, out: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    let widths = members.iter().filter(|(_, member)| member.is_line());
    let width = widths.map(|(name, _)| name.chars()).max().unwrap_or(0);
    let width = width.min(ALIGNED_CHARS);
    for (name, member) in members {
        let name = name.in_plain_text();
        if member.is_line() {
            let line = format!(
                "{pad}{:<1$}  {2}",
                format!("{name}:"),
                width + 1,
                member.line()
            );
            out.push(line);
        } else {
            out.push(format!("{pad}{name}:"));
            member.write(indent + 2, out);
        }
    }
}
