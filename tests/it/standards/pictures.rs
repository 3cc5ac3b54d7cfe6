//! Pictures of the requests of 17 kinds of agents, for review by people. `HO_UPDATE_PICTURES=1` makes them again.

use super::documents::documents;
use super::samples::{examples, samples};
use super::view::View;
use crate::harness::repository;

/// A contact sheet: the width of each page on it, the height that shows, how many are in a row, and the scale.
struct Sheet {
    width: u32,
    height: u32,
    columns: u32,
    scale: f64,
}

const SHEETS: [Sheet; 2] = [
    Sheet {
        width: 375,
        height: 900,
        columns: 6,
        scale: 0.56,
    },
    Sheet {
        width: 1_280,
        height: 900,
        columns: 3,
        scale: 0.36,
    },
];
const GAP: u32 = 24;

/// The folder's bytes.
const FOLDER: u64 = 1_500_000;

impl Sheet {
    /// A page of frames, one for each document of a sample whose name begins with `prefix`.
    async fn html(&self, prefix: &str) -> String {
        let samples = samples();
        let mut frames = String::new();
        for document in documents().await {
            let name = document.name.strip_prefix(prefix);
            if let Some(name) = name.filter(|name| samples.iter().any(|it| it.name == *name)) {
                let html = document.html.replace('&', "&amp;").replace('"', "&quot;");
                frames.push_str(&format!(
                    "<figure><figcaption>{name}</figcaption><iframe srcdoc=\"{html}\"></iframe></figure>"
                ));
            }
        }
        let Self {
            width,
            height,
            columns,
            ..
        } = self;
        format!(
            "<!doctype html><meta name=\"color-scheme\" content=\"light dark\"><style>
             body {{ margin: 0 }}
             main {{ display: grid; grid-template-columns: repeat({columns}, {width}px); gap: {GAP}px;
                 padding: {GAP}px; width: max-content; background: #8a8a94 }}
             figure {{ margin: 0 }} figcaption {{ font: 28px sans-serif; color: #fff }}
             iframe {{ border: 0; width: {width}px; height: {height}px }}
             </style><main>{frames}</main>"
        )
    }

    /// The size of the window in which every frame shows.
    fn window(&self) -> (u32, u32) {
        let rows = 17_u32.div_ceil(self.columns);
        (
            self.columns * (self.width + GAP) + GAP,
            rows * (self.height + 3 * GAP) + GAP,
        )
    }

    async fn picture(&self, view: &View, prefix: &str, scheme: &str) -> Vec<u8> {
        let (width, height) = self.window();
        view.resize(width, height).await;
        view.prefer(&[("prefers-color-scheme", scheme)]).await;
        view.show_html(&self.html(prefix).await).await;
        view.browser.picture_of("main", self.scale, 50).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_17_kinds_of_requests_are_kept() {
    let folder = repository().join("docs/pictures");
    let update = std::env::var_os("HO_UPDATE_PICTURES").is_some();
    let page = include_str!("../../../docs/approvers.md");
    let view = if update { View::open().await } else { None };
    for (prefix, kind) in [("page of ", "pages"), ("mail of ", "emails")] {
        let sheets = SHEETS
            .iter()
            .flat_map(|sheet| [(sheet, "light"), (sheet, "dark")]);
        for (sheet, scheme) in sheets {
            if kind == "emails" && sheet.width > 375 {
                continue;
            }
            let name = format!("{kind}-{}-{scheme}.webp", sheet.width);
            if let Some(view) = &view {
                let picture = sheet.picture(view, prefix, scheme).await;
                std::fs::write(folder.join(&name), picture).unwrap();
            }
            let kept = std::fs::read(folder.join(&name)).expect(&name);
            assert_eq!(&kept[8..12], b"WEBP", "{name}");
            assert!(page.contains(&format!("pictures/{name}")), "{name}");
        }
    }
    if let Some(view) = view {
        view.close().await;
    }
    let files = std::fs::read_dir(&folder).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < FOLDER, "{bytes}");
}

/// The pictures of docs/requests.md: good beside bad.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_for_those_who_write_requests_has_its_pictures() {
    let folder = repository().join("docs/pictures");
    let page = include_str!("../../../docs/requests.md");
    let update = std::env::var_os("HO_UPDATE_PICTURES").is_some();
    let view = if update { View::open().await } else { None };
    for name in examples().into_iter().map(|(name, _)| name) {
        let file = format!("{name}.webp");
        if let Some(view) = &view {
            view.resize(480, 900).await;
            view.prefer(&[("prefers-color-scheme", "light")]).await;
            let all = documents().await;
            let number = all
                .iter()
                .position(|it| it.name == format!("example {name}"));
            view.show(number.unwrap()).await;
            let picture = view.browser.picture_of("main", 0.9, 50).await;
            std::fs::write(folder.join(&file), picture).unwrap();
        }
        assert!(folder.join(&file).is_file(), "{file}");
        assert!(page.contains(&format!("pictures/{file}")), "{file}");
    }
    if let Some(view) = view {
        view.close().await;
    }
}
