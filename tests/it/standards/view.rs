//! A browser window that shows one document after another, in any size and any colours.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::documents::{Document, documents};
use crate::browser::Browser;
use crate::harness::repository;

pub(super) struct View {
    pub(super) browser: Browser,
    folder: TempDir,
    size: Cell<(u32, u32)>,
}

impl View {
    /// `None` if there is no browser.
    pub(super) async fn open() -> Option<Self> {
        let browser = Browser::open(375, false).await?;
        let folder = tempfile::tempdir().unwrap();
        for (number, document) in documents().await.iter().enumerate() {
            let mut html = document.html.clone();
            // The inbox of local development loads itself again, which it would do during a measurement.
            if document.name.ends_with("inbox") {
                html = html.replace("http-equiv=\"refresh\"", "");
            }
            std::fs::write(folder.path().join(format!("{number}.html")), html).unwrap();
        }
        Some(Self {
            browser,
            folder,
            size: Cell::new((375, 667)),
        })
    }

    /// Shows the document with this number.
    pub(super) async fn show(&self, number: usize) {
        self.go(&format!("{number}.html")).await;
    }

    async fn go(&self, file: &str) {
        let address = format!("file://{}/{file}", self.folder.path().display());
        self.browser.window.goto(&address).await.unwrap();
        // A navigation can bring back the size with which the browser was opened.
        let (width, height) = self.size.get();
        self.resize(width, height).await;
    }

    /// Opens a document of the test's own.
    pub(super) async fn show_html(&self, html: &str) {
        std::fs::write(self.folder.path().join("own.html"), html).unwrap();
        self.go("own.html").await;
    }

    pub(super) async fn resize(&self, width: u32, height: u32) {
        self.size.set((width, height));
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.browser
            .devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// Sets media features, such as `prefers-color-scheme`.
    pub(super) async fn prefer(&self, features: &[(&str, &str)]) {
        let features = features
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}));
        let features = json!({"features": Value::from_iter(features)});
        self.browser
            .devtools("Emulation.setEmulatedMedia", features)
            .await;
    }

    /// What `script` returns for each document for which it returns something else than nothing.
    pub(super) async fn faults(&self, script: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (number, document) in documents().await.iter().enumerate() {
            self.show(number).await;
            let found = self.browser.js(script).await;
            let is_nothing = found.is_null() || found.as_array().is_some_and(Vec::is_empty);
            if !is_nothing {
                faults.push(format!("{}: {found}", document.name));
            }
        }
        faults
    }

    pub(super) async fn close(self) {
        self.browser.window.close().await.unwrap();
    }
}

/// A file of the tools that check standards.
pub(super) fn tool(path: &str) -> std::path::PathBuf {
    let tools = repository().join(".tools/standards");
    assert!(
        tools.join("installed").is_file(),
        "axe-core and the HTML checker are not installed: run scripts/test once"
    );
    tools.join("node_modules").join(path)
}

/// The documents' names are distinct, so that a fault names one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_are_of_every_kind() {
    let all = documents().await;
    let names: BTreeSet<&str> = all.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    let mails = all.iter().filter(|document: &&Document| document.is_mail);
    assert!(mails.count() >= 23 && all.len() >= 60, "{}", all.len());
}
