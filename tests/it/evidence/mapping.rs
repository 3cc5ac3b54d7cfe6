//! The table of OWASP AISVS in docs/evidence.md has each requirement of the chapter, and names tests for what it claims.

use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../../docs/evidence.md");

/// The requirements of AISVS 1.0, chapter C9: for each section the levels of its requirements, in their order.
const LEVELS: [(&str, &[u8]); 6] = [
    ("9.1", &[1, 1, 2]),
    ("9.2", &[1, 2, 2, 2, 2, 2, 2, 3, 3, 3]),
    ("9.3", &[1, 1, 2, 2, 2, 2, 2, 3]),
    ("9.4", &[2, 2, 3, 3]),
    ("9.5", &[2, 2, 2, 2, 2, 3]),
    ("9.6", &[1, 2, 3]),
];

/// The cells of each row of a table whose first cell is one of these.
fn rows(is_first: impl Fn(&str) -> bool) -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(str::trim).collect::<Vec<_>>()
    });
    cells.filter(|cells| is_first(cells[0])).collect()
}

/// The tests that a cell names; `docs::every_test_named_in_the_docs_exists` looks for them.
fn tests(cell: &str) -> usize {
    let words = cell.split('`').skip(1).step_by(2);
    words.filter(|word| word.contains("::")).count()
}

#[test]
fn each_requirement_of_aisvs_is_there_with_its_level_and_what_is_claimed_has_tests() {
    let required: BTreeMap<String, u8> = LEVELS
        .iter()
        .flat_map(|(section, levels)| {
            let numbered = (1..).zip(levels.iter());
            numbered.map(move |(number, &level)| (format!("{section}.{number}"), level))
        })
        .collect();
    assert_eq!(required.len(), 34);
    let rows = rows(|first| first.starts_with("9."));
    let claimed: BTreeMap<String, u8> = rows
        .iter()
        .map(|cells| (cells[0].to_owned(), cells[1].parse().unwrap()))
        .collect();
    assert_eq!((rows.len(), &claimed), (34, &required));
    for cells in rows {
        let [id, _, _, verdict, how] = cells[..] else {
            panic!("{cells:?}");
        };
        match verdict {
            "met" | "partly" => assert!(tests(how) > 0, "{id} names no test"),
            "not met" => assert!(!how.is_empty(), "{id} gives no reason"),
            "not the gate" => {}
            other => panic!("{id}: {other}"),
        }
    }
}

#[test]
fn each_paragraph_of_the_articles_is_there_and_says_what_is_left_to_do() {
    let is_article = |first: &str| first.starts_with("14(") || first.starts_with("26(");
    let rows = rows(is_article);
    let named: String = rows
        .iter()
        .map(|cells| cells[0])
        .collect::<Vec<_>>()
        .join(" ");
    for paragraph in 1..=12 {
        let is_there = named.contains(&format!("({paragraph})"));
        assert!(is_there, "({paragraph})");
    }
    for point in ["14(4)(a)", "14(4)(b)", "14(4)(c)", "14(4)(d)", "14(4)(e)"] {
        assert!(named.contains(point), "{point}");
    }
    for cells in rows {
        assert_eq!(cells.len(), 4, "{cells:?}");
        assert!(!cells[3].is_empty(), "{cells:?}");
    }
}
