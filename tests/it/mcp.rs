//! The picture of docs/mcp.md: one call through the proxy, as the model and the approver see it.
//!
//! `HO_UPDATE_PICTURES=1` makes it again, with the reference server for files, after `cargo build -p human-oversight-mcp` and
//! with the tools of `scripts/test --clients`.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::browser::Browser;
use crate::deadline::within;
use crate::harness::{ALICE, TestGate, repository};
use crate::host::KEY;

const PICTURE: &str = "docs/pictures/mcp.webp";

/// A client of the tool server behind the proxy.
struct Model {
    _proxy: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Model {
    fn start(gate: &TestGate, folder: &Path) -> Self {
        let settings = folder.join("settings.toml");
        std::fs::write(
            &settings,
            "agent = \"DesktopAgent\"\nsummary = \"Write {arguments.path}\"\n",
        )
        .unwrap();
        let proxy =
            Path::new(env!("CARGO_BIN_EXE_human-oversight")).with_file_name("human-oversight-mcp");
        let server =
            ".tools/mcp/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js";
        let mut proxy = Command::new(proxy)
            .args(["--answer-within", "2s", "--server", "files", "--config"])
            .arg(settings)
            .args(["--", "node"])
            .arg(repository().join(server))
            .arg(folder)
            .env("HO_URL", &gate.url)
            .env("HO_KEY", KEY)
            .env("HO_CLAIM_KEY", "5a".repeat(32))
            .env("APPROVER_EMAILS", ALICE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            input: proxy.stdin.take().unwrap(),
            output: BufReader::new(proxy.stdout.take().unwrap()).lines(),
            _proxy: proxy,
        }
    }

    /// The result of a request.
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        loop {
            let line = within(self.output.next_line())
                .await
                .unwrap()
                .expect("an answer");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == 1 && answer["method"].is_null() {
                return answer["result"].clone();
            }
        }
    }
}

/// What was said, beside the page that the approver saw.
fn html(said: &[(&str, String)], page: &str) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
    };
    let said = said.iter();
    let said = said.map(|(who, text)| format!("<h2>{who}</h2><p>{}</p>", escape(text)));
    format!(
        "<!doctype html><style>
         main {{ display: flex; gap: 16px; padding: 16px; width: max-content; background: #e4e4ea }}
         section {{ width: 400px; font: 15px/1.4 monospace; overflow-wrap: anywhere }}
         h2 {{ font: bold 14px sans-serif; margin: 0; color: #444 }}
         p {{ background: #fff; border-radius: 8px; padding: 8px 10px; margin: 4px 0 12px }}
         iframe {{ border: 0; width: 440px; height: 700px; border-radius: 8px; background: #fff }}
         </style><main><section>{}</section><iframe srcdoc=\"{}\"></iframe></main>",
        said.collect::<String>(),
        escape(page),
    )
}

async fn picture(browser: &Browser) -> Vec<u8> {
    let gate = TestGate::start().await;
    let folder = tempfile::Builder::new().prefix("files").tempdir().unwrap();
    let mut model = Model::start(&gate, folder.path());
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}});
    model.ask("initialize", params).await;
    let file = folder.path().join("plan.md");
    let call = json!({"name": "write_file", "arguments": {"path": file, "content": "Release on Friday.\n"}});
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    let pending = model.ask("tools/call", call.clone()).await;
    let id = pending["_meta"]["human-oversight/approval"]["id"].clone();
    let id = id.as_str().unwrap_or_else(|| panic!("{pending}"));
    let approval = gate.status(id).await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await.body;
    gate.approve(&approval, ALICE).await;
    assert!(!file.exists());
    let done = text(&model.ask("tools/call", call.clone()).await);
    assert!(file.exists());
    let said = [
        ("The model calls", call.to_string()),
        ("It reads", text(&pending)),
        ("It calls again, after the approval", call.to_string()),
        ("It reads", done),
    ];
    // The temporary folder is none of the reader's.
    let shown = |text: &str| {
        text.replace(
            &folder.path().display().to_string(),
            "/home/alice/documents",
        )
    };
    let said = said.map(|(who, text)| (who, shown(&text)));
    let page = serde_json::to_string(&html(&said, &shown(&page))).unwrap();
    browser.window.goto("about:blank").await.unwrap();
    browser
        .js(&format!(
            "document.open(); document.write({page}); document.close()"
        ))
        .await;
    browser.picture_of("main", 0.45, 30).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_of_a_call_through_the_proxy_is_kept() {
    let path = repository().join(PICTURE);
    if std::env::var_os("HO_UPDATE_PICTURES").is_some()
        && let Some(browser) = Browser::open(1_000, false).await
    {
        std::fs::write(&path, picture(&browser).await).unwrap();
        browser.window.close().await.unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert_eq!(&kept[8..12], b"WEBP");
    assert!(kept.len() < 31_000, "{} bytes", kept.len());
    let page = include_str!("../../docs/mcp.md");
    assert!(page.contains(PICTURE.trim_start_matches("docs/")));
}
