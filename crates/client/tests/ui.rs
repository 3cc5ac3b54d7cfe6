//! What the compiler says of a gate that cannot be: each message must tell what to do.

#![cfg(feature = "macros")]

#[test]
fn a_mistake_is_explained_where_it_was_made() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
