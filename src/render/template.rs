//! Rendering of templates.

use askama::Template;

pub(super) fn render(template: &impl Template) -> String {
    template
        .render()
        .expect("writing into a string does not fail")
}
