//! The first page of local development.

use askama::Template;

use super::brand::Brand;
use super::page::PageStyle;
use super::template::render;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    local: bool,
    brand: &'a Brand,
}

/// Renders the page, which names the inbox if there is one.
pub fn render_home(style: PageStyle<'_>) -> String {
    render(&HomePage {
        local: style.development,
        brand: style.brand,
    })
}
