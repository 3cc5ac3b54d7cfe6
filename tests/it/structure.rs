//! The structure of the code: which module imports which, read from the sources. Imports run one way: none
//! goes up in the map of `src/lib.rs`, and none closes a circle.
//!
//! `cargo test --test it -- --nocapture structure::` prints every import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every import of a crate: the importing module and the imported one. A module's name is its path, such
/// as `http::submit`; the root of the crate is empty. A module imports those that it declares.
type Imports = BTreeSet<(String, String)>;

/// The sources of a crate by module.
pub(crate) fn sources(root: &Path) -> BTreeMap<String, String> {
    fn collect(dir: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let name = match prefix {
                "" => stem.clone(),
                prefix => format!("{prefix}::{stem}"),
            };
            if path.is_dir() {
                collect(&path, &name, sources);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let is_root = prefix.is_empty() && stem == "lib";
                let name = if is_root { String::new() } else { name };
                sources.insert(name, code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(root, "", &mut found);
    found
}

/// Without comments, without the tests at the end of a file, and without what inline modules import from
/// their file.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let lines = source
        .lines()
        .filter(|line| !line.starts_with("    use super::"));
    let lines = lines.map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The longest module that a path begins with.
fn module_of(path: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut segments: Vec<&str> = path.split("::").collect();
    while !segments.is_empty() {
        let name = segments.join("::");
        if modules.contains_key(&name) {
            return Some(name);
        }
        segments.pop();
    }
    None
}

/// The paths that begin at each occurrence of `start`, with groups such as `{a, b::c}` resolved.
fn paths_after(code: &str, start: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(start) {
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| is_word(c) || c == ':')
        {
            continue;
        }
        // A visibility is no import.
        if code[..at].ends_with("(in ") {
            continue;
        }
        let rest = &code[at + start.len()..];
        let end = rest.find(|c: char| !is_word(c) && c != ':');
        let stem = rest[..end.unwrap_or(rest.len())].trim_end_matches("::");
        match rest[end.unwrap_or(rest.len())..].strip_prefix('{') {
            Some(group) => {
                let group = &group[..group.find("};").unwrap_or(group.len())];
                for item in group.split([',', '{', '}']) {
                    let item = item.split_whitespace().next().unwrap_or_default();
                    let separator = if stem.is_empty() { "" } else { "::" };
                    paths.push(format!("{stem}{separator}{}", item.trim_end_matches("::")));
                }
            }
            None => paths.push(stem.to_owned()),
        }
    }
    paths
}

fn imports(modules: &BTreeMap<String, String>, crate_name: &str) -> Imports {
    let mut imports = Imports::new();
    for (module, code) in modules {
        let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        let grandparent = parent.rsplit_once("::").map_or("", |(parent, _)| parent);
        let joined = |base: &str, path: &str| match base {
            "" => path.to_owned(),
            base => format!("{base}::{path}"),
        };
        let absolute = |path: String| path;
        let mut paths: Vec<String> = paths_after(code, "crate::")
            .into_iter()
            .map(absolute)
            .collect();
        paths.extend(paths_after(code, &format!("{crate_name}::")));
        paths.extend(
            paths_after(code, "super::super::")
                .iter()
                .map(|path| joined(grandparent, path)),
        );
        let supers = paths_after(code, "super::");
        let supers = supers.iter().filter(|path| !path.starts_with("super"));
        paths.extend(supers.map(|path| joined(parent, path)));
        let declared = code.lines().filter_map(|line| {
            let (before, name) = line.trim().strip_suffix(';')?.split_once("mod ")?;
            let is_visibility = before.is_empty() || before.starts_with("pub");
            is_visibility.then(|| joined(module, name))
        });
        paths.extend(declared);
        let imported = paths.iter().filter_map(|path| module_of(path, modules));
        imports.extend(
            imported
                .filter(|it| it != module)
                .map(|it| (module.clone(), it)),
        );
    }
    imports
}

/// A circle among the imports, if there is one.
fn circle(imports: &Imports) -> Option<Vec<&str>> {
    let mut left: BTreeSet<&(String, String)> = imports.iter().collect();
    loop {
        let importing: BTreeSet<&str> = left.iter().map(|(from, _)| from.as_str()).collect();
        let before = left.len();
        left.retain(|(_, to)| importing.contains(to.as_str()));
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            break;
        }
    }
    // Each module that is left imports another one that is left, so following them returns.
    let mut way = vec![left.first()?.0.as_str()];
    loop {
        let last = way.last().unwrap();
        let (_, next) = left.iter().find(|(from, _)| from == last)?;
        if let Some(start) = way.iter().position(|module| module == next) {
            way.push(next);
            return Some(way.split_off(start));
        }
        way.push(next);
    }
}

/// The rows of the map in `src/lib.rs`, from the bottom layer to the top.
fn layers() -> Vec<String> {
    let map = include_str!("../../src/lib.rs");
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_import_of_the_gate_goes_down_in_the_map() {
    let modules = sources(&root().join("src"));
    let mut layers = layers();
    layers.extend(["cli".to_owned(), "main".to_owned()]);
    let top = |module: &str| module.split("::").next().unwrap().to_owned();
    let named: BTreeSet<String> = modules.keys().map(|module| top(module)).collect();
    let mapped: BTreeSet<String> = layers.iter().cloned().chain([String::new()]).collect();
    assert_eq!(named, mapped, "the modules, and the map in src/lib.rs");

    let layer = |module: &str| layers.iter().position(|name| *name == top(module));
    let imports = imports(&modules, "human_oversight");
    for (from, to) in &imports {
        eprintln!("{from} -> {to}");
        let is_up = !from.is_empty() && layer(to) > layer(from);
        assert!(!is_up, "{from} imports {to}, which is above it");
    }
    assert!(imports.len() > 150, "{}", imports.len());
    assert_eq!(circle(&imports), None);
}

#[test]
fn no_module_of_the_crates_imports_in_a_circle() {
    for (dir, name) in [
        ("protocol", "human_oversight_protocol"),
        ("client", "human_oversight_client"),
        ("client-macros", "human_oversight_client_macros"),
        ("mcp", "human_oversight_mcp"),
    ] {
        let modules = sources(&root().join("crates").join(dir).join("src"));
        let imports = imports(&modules, name);
        for (from, to) in &imports {
            eprintln!("{dir}: {from} -> {to}");
        }
        assert!(!imports.is_empty(), "{dir}");
        assert_eq!(circle(&imports), None, "{dir}");
    }
}

#[test]
fn an_import_upwards_and_a_circle_are_found() {
    let modules: BTreeMap<String, String> = [
        ("", "pub mod a;\nmod b;"),
        ("a", "use crate::b::{C, d::E};\nmod x;"),
        ("a::x", "fn f() -> super::super::b::C { super::y() }"),
        ("b", "// use crate::a;\n"),
        ("b::d", ""),
    ]
    .map(|(name, source)| (name.to_owned(), code(source)))
    .into();
    let found = imports(&modules, "it");
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let expected = [
        ("", "a"),
        ("", "b"),
        ("a", "a::x"),
        ("a", "b"),
        ("a", "b::d"),
        ("a::x", "a"),
        ("a::x", "b"),
    ];
    assert_eq!(found, expected);
    let imports: Imports = found
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    assert_eq!(circle(&imports), Some(vec!["a", "a::x", "a"]));
}
