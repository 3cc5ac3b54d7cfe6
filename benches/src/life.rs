//! One approval from its request to its outcome, over HTTP, at the gate or at the hand-rolled one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use human_oversight_protocol::parameters::{hex, sha256};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use mail_parser::MessageParser;
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "a-key-for-measuring";

/// Which of the two gates.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The gate, and the folder of its emails.
    Gate(PathBuf),
    HandRolled(PathBuf),
}

/// A connection that is kept open.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    port: u16,
    key: String,
}

/// A response: status and body.
pub(crate) struct Answer(u16, Bytes);

impl Answer {
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.1)?)
    }

    pub(crate) fn text(&self) -> anyhow::Result<&str> {
        Ok(std::str::from_utf8(&self.1)?)
    }

    pub(crate) fn expect(self, status: u16) -> anyhow::Result<Self> {
        if self.0 != status {
            bail!(
                "{} instead of {status}: {}",
                self.0,
                String::from_utf8_lossy(&self.1)
            );
        }
        Ok(self)
    }
}

impl Connection {
    pub(crate) async fn open(port: u16) -> anyhow::Result<Self> {
        Self::open_as(port, KEY.to_owned()).await
    }

    /// A connection with this function key.
    pub(crate) async fn open_as(port: u16, key: String) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, port, key })
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: String,
    ) -> anyhow::Result<Answer> {
        self.send_with(method, path, &[("content-type", kind)], body)
            .await
    }

    pub(crate) async fn send_with(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Answer> {
        let origin = format!("http://127.0.0.1:{}", self.port);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("origin", origin)
            .header("x-functions-key", &self.key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        Ok(Answer(
            status,
            answer.into_body().collect().await?.to_bytes(),
        ))
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, "text/plain", String::new())
            .await?
            .expect(200)
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, "application/json", body.to_string())
            .await
    }
}

/// A pending request.
pub(crate) struct Asked {
    pub(crate) id: String,
    /// For each approver, the path of the page, with its link token; and the one-time code.
    pages: Vec<(String, String)>,
}

impl Asked {
    /// The path of the first approver's page.
    pub(crate) fn page(&self) -> &str {
        &self.pages[0].0
    }
}

/// The body of a request.
pub(crate) fn request(agent: &str) -> Value {
    json!({
        "agentName": agent,
        "actionDescription": "Delete User Account",
        "parameters": {"user_id": "1", "email": "former-contractor@example.com",
            "options": {"delete_mailbox": true, "groups": ["sales", "vpn-users"], "retention_days": 30}},
        "approverEmails": ["approver@example.com"],
    })
}

impl Kind {
    pub(crate) async fn submit(&self, http: &mut Connection, agent: &str) -> anyhow::Result<Asked> {
        self.submit_to(http, request(agent), 1).await
    }

    /// Submits a request that asks this number of approvers.
    pub(crate) async fn submit_to(
        &self,
        http: &mut Connection,
        mut request: Value,
        approvers: usize,
    ) -> anyhow::Result<Asked> {
        if let Self::Gate(_) = self {
            request["claimant"] = hex(&sha256(b"secret")).into();
        }
        let asked = http
            .post("/api/submit", request)
            .await?
            .expect(202)?
            .json()?;
        let id = asked["id"].as_str().context("an id")?.to_owned();
        let mut pages = Vec::new();
        match self {
            Self::Gate(mails) => {
                let at = asked["requestTimestamp"].as_str().context("a time")?;
                let digest = hex(&sha256(format!("{id} {at}").as_bytes())[..16]);
                for approver in 0..approvers {
                    let mail = mails.join(format!("{digest}.{approver}.question.eml"));
                    pages.push(question(&mail).await?);
                }
            }
            Self::HandRolled(mails) => {
                let mail = tokio::fs::read_to_string(mails.join(format!("{id}.question"))).await?;
                let page = mail.split_once(": ").context("a link")?.1.to_owned();
                pages.push((page, String::new()));
            }
        }
        Ok(Asked { id, pages })
    }

    pub(crate) async fn approve(&self, http: &mut Connection, asked: &Asked) -> anyhow::Result<()> {
        for (address, code) in &asked.pages {
            let page = http.get(address).await?;
            let (path, k) = address.split_once("?k=").context("a token")?;
            let form = match self {
                Self::Gate(_) => {
                    let (_, form) = page.text()?.split_once("<form").context("a form")?;
                    let (form, _) = form.split_once("</form>").context("a form")?;
                    let hidden = hidden_fields(form);
                    format!("k={k}{hidden}&decision=approve&code={code}")
                }
                Self::HandRolled(_) => format!("k={k}&decision=approve"),
            };
            let form_type = "application/x-www-form-urlencoded";
            http.send(Method::POST, path, form_type, form)
                .await?
                .expect(303)?;
        }
        Ok(())
    }

    pub(crate) async fn claim_and_report(
        &self,
        http: &mut Connection,
        asked: &Asked,
    ) -> anyhow::Result<()> {
        let id = &asked.id;
        let claim = json!({"nonce": "0123456789abcdef", "secret": "secret"});
        http.post(&format!("/api/claim/{id}"), claim)
            .await?
            .expect(200)?;
        let report = match self {
            Self::Gate(_) => json!({"status": "Executed", "secret": "secret"}),
            Self::HandRolled(_) => json!({"status": "Executed"}),
        };
        http.post(&format!("/api/outcome/{id}"), report)
            .await?
            .expect(200)?;
        Ok(())
    }

    /// The whole life: submit, status, the page, the decision, status, claim, outcome.
    pub(crate) async fn live(&self, http: &mut Connection, agent: &str) -> anyhow::Result<()> {
        let asked = self.submit(http, agent).await?;
        check_status(http, &asked, "Pending").await?;
        self.approve(http, &asked).await?;
        check_status(http, &asked, "Approved").await?;
        self.claim_and_report(http, &asked).await
    }
}

/// What a browser sends of a form besides what is typed, but for the link's token; all of it is plain ASCII.
fn hidden_fields(form: &str) -> String {
    let fields = form.split("type=\"hidden\" name=\"").skip(1);
    let fields = fields.filter_map(|field| field.split_once("\" value=\""));
    let fields = fields.filter(|(name, _)| *name != "k");
    let sent = fields.map(|(name, rest)| {
        let (value, _) = rest.split_once('"').unwrap_or_default();
        format!("&{name}={value}")
    });
    sent.collect()
}

async fn check_status(http: &mut Connection, asked: &Asked, expected: &str) -> anyhow::Result<()> {
    let found = http
        .get(&format!("/api/status/{}", asked.id))
        .await?
        .json()?;
    if found["status"] != expected {
        bail!("{found} is not {expected}");
    }
    Ok(())
}

/// The path of the page and the one-time code, from the email.
async fn question(mail: &Path) -> anyhow::Result<(String, String)> {
    let mail = tokio::fs::read(mail).await?;
    let mail = MessageParser::default().parse(&mail).context("a mail")?;
    let text = mail.body_text(0).context("a text")?;
    let link = text
        .lines()
        .find(|line| line.contains("/api/decision/"))
        .context("a link")?;
    let at = link.find("/api/").context("a path")?;
    let (_, code) = text.split_once("type this code there:").context("a code")?;
    Ok((link[at..].trim().to_owned(), code.trim()[..6].to_owned()))
}

/// Runs lives for `time` on this number of connections; returns the number of lives and the time they took.
pub(crate) async fn live_for(
    kind: &Kind,
    port: u16,
    connections: usize,
    time: Duration,
) -> anyhow::Result<(u32, Duration)> {
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for n in 0..connections {
        let kind = kind.clone();
        workers.spawn(async move {
            let mut http = Connection::open(port).await?;
            let agent = format!("Agent{n}");
            let mut lives = 0;
            while started.elapsed() < time {
                kind.live(&mut http, &agent).await?;
                lives += 1;
            }
            anyhow::Ok(lives)
        });
    }
    let mut lives = 0;
    while let Some(worker) = workers.join_next().await {
        lives += worker??;
    }
    Ok((lives, started.elapsed()))
}

/// Runs this number of lives on each of the connections, at once.
pub(crate) async fn live_times(
    kind: &Kind,
    port: u16,
    connections: usize,
    number: usize,
) -> anyhow::Result<()> {
    let mut workers = tokio::task::JoinSet::new();
    for n in 0..connections {
        let kind = kind.clone();
        workers.spawn(async move {
            let mut http = Connection::open(port).await?;
            let agent = format!("Agent{n}");
            for _ in 0..number {
                kind.live(&mut http, &agent).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}
