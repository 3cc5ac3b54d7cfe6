//! The pages of docs/evidence.md name tests that exist.
