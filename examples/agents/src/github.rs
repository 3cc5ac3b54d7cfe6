//! The part of GitHub's REST API that the research group uses, and a stand-in for it.

use anyhow::Context;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Response, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::setting;
use crate::offline;

/// How much of a file a model can read, in characters.
const EXCERPT: usize = 4_000;

/// A client of GitHub.
#[derive(Clone)]
pub struct GitHub {
    http: reqwest::Client,
    url: Url,
}

/// A gist, with everything that GitHub gets.
#[derive(Deserialize, JsonSchema, Serialize)]
pub struct Gist {
    pub title: String,
    pub content: String,
    /// Whether it is listed. With the link it can be read in any case.
    pub public: bool,
}

impl GitHub {
    /// A client with the token in `GITHUB_TOKEN`, which needs the scope `gist`.
    pub fn from_env() -> anyhow::Result<Self> {
        let token = setting("GITHUB_TOKEN").context("GITHUB_TOKEN is not set")?;
        Self::new("https://api.github.com", &token)
    }

    fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let mut token = HeaderValue::from_str(&format!("Bearer {token}"))?;
        token.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, token),
            (
                ACCEPT,
                HeaderValue::from_static("application/vnd.github+json"),
            ),
        ]);
        let http = reqwest::Client::builder()
            .user_agent("human-oversight-agents")
            .default_headers(headers)
            .build()?;
        Ok(Self {
            http,
            url: Url::parse(url)?,
        })
    }

    /// Searches public code: repository and path of each file found.
    pub async fn search_code(&self, query: &str) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Found {
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            path: String,
            repository: Repository,
        }
        #[derive(Deserialize)]
        struct Repository {
            full_name: String,
        }
        let request = self.http.get(self.at(["search", "code"]));
        let request = request.query(&[("q", query), ("per_page", "5")]);
        let found: Found = check(request.send().await?).await?.json().await?;
        let files: Vec<Value> = found
            .items
            .into_iter()
            .map(|item| json!({"repository": item.repository.full_name, "path": item.path}))
            .collect();
        Ok(json!(files).to_string())
    }

    /// The beginning of a file on the repository's default branch.
    pub async fn file_content(&self, repository: &str, path: &str) -> anyhow::Result<String> {
        let (owner, name) = repository.split_once('/').context("not owner/name")?;
        let url = self.at(["repos", owner, name, "contents"]
            .into_iter()
            .chain(path.split('/')));
        let request = self.http.get(url);
        let request = request.header(ACCEPT, "application/vnd.github.raw+json");
        let content = check(request.send().await?).await?.text().await?;
        Ok(content.chars().take(EXCERPT).collect())
    }

    /// Publishes a gist and returns its address.
    pub async fn create_gist(&self, gist: &Gist) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Created {
            html_url: String,
        }
        let request = self.http.post(self.at(["gists"])).json(&json!({
            "description": gist.title,
            "public": gist.public,
            "files": {"report.md": {"content": gist.content}},
        }));
        let created: Created = check(request.send().await?).await?.json().await?;
        Ok(created.html_url)
    }

    /// Text of a model stays within one segment of the path.
    fn at<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(segments);
        url
    }
}

async fn check(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let why = response.text().await.unwrap_or_default();
    anyhow::bail!("GitHub responded with {status}: {why}")
}

const FILES: [(&str, &str); 2] = [
    (
        "src/main.rs",
        "axum::serve(listener, app).with_graceful_shutdown(signal()).await",
    ),
    (
        "src/signal.rs",
        "pub async fn signal() { tokio::signal::ctrl_c().await.ok(); }",
    ),
];

/// A stand-in for GitHub in this process: one small repository, and gists that are only printed.
pub async fn stand_in() -> anyhow::Result<GitHub> {
    let search = async |Query(_): Query<Search>| {
        let repository = json!({"full_name": "example/server"});
        let items: Vec<Value> = FILES
            .iter()
            .map(|(path, _)| json!({"path": path, "repository": repository}))
            .collect();
        Json(json!({"total_count": items.len(), "items": items}))
    };
    let content = async |Path(wanted): Path<String>| {
        let mut files = FILES.iter();
        let file = files.find(|(path, _)| *path == wanted);
        file.map(|(_, content)| *content)
            .ok_or(StatusCode::NOT_FOUND)
    };
    let publish = async |Json(gist): Json<Value>| {
        println!("GitHub (stand-in): published {}", gist["description"]);
        let address = json!({"html_url": "https://gist.github.com/example/1"});
        (StatusCode::CREATED, Json(address))
    };
    let router = Router::new()
        .route("/search/code", get(search))
        .route("/repos/example/server/contents/{*path}", get(content))
        .route("/gists", post(publish));
    GitHub::new(&offline::serve(router).await?, "offline")
}

#[derive(Deserialize)]
struct Search {
    #[serde(rename = "q")]
    _query: String,
}
