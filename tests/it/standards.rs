//! What pages and emails owe everyone who reads them: accessibility, valid markup, any width, any colours, a
//! keyboard alone, each direction of writing. Held for documents of every kind, in a real browser.

mod accessibility;
mod documents;
mod guide;
mod keyboard;
mod measures;
mod pictures;
mod reflow;
mod refusals;
mod right_to_left;
mod samples;
mod validity;
mod view;
