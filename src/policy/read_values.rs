//! Reads values that several members have.

use super::pointer::Pointer;
use super::reader::Node;
use super::text::Glob;

/// The most characters of a pattern, of a pointer, and of the words of a denial.
const GLOB_CHARS: usize = 200;
const POINTER_CHARS: usize = 200;
const REASON_CHARS: usize = 500;

pub(super) fn read_reason(node: &Node<'_>) -> Option<String> {
    node.text(REASON_CHARS).map(str::to_owned)
}

pub(super) fn read_globs(node: &Node<'_>) -> Vec<Glob> {
    let read = |(item, text): (Node<'_>, &str)| {
        if text.trim() != text {
            item.fault("must not begin or end with a space");
        }
        let glob = Glob::new(text);
        if glob.is_none() {
            item.fault("has a character that resembles `*`");
        }
        glob
    };
    node.texts(1..=GLOB_CHARS)
        .into_iter()
        .filter_map(read)
        .collect()
}

pub(super) fn read_pointers(node: &Node<'_>, most: usize) -> Vec<Pointer> {
    let items = node.texts(0..=POINTER_CHARS);
    if items.len() > most {
        node.fault(format!("must have at most {most} items"));
    }
    let read = |(item, _): &(Node<'_>, &str)| read_pointer(item);
    items.iter().filter_map(read).collect()
}

pub(super) fn read_pointer(node: &Node<'_>) -> Option<Pointer> {
    match Pointer::parse(node.text_of(0..=POINTER_CHARS)?) {
        Ok(pointer) => Some(pointer),
        Err(why) => {
            node.fault(why.to_string());
            None
        }
    }
}
