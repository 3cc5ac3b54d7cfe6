//! A gate as a process, with people who decide.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use mail_parser::MessageParser;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{built, eventually};

pub(crate) const ALICE: &str = "alice@example.com";

pub(crate) struct Gate {
    pub(crate) url: String,
    folder: TempDir,
    settings: Vec<(String, String)>,
    child: Child,
}

/// An email that asks for a decision.
struct Question {
    id: String,
    link: String,
    code: String,
    text: String,
}

impl Gate {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with_policy(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, policy).unwrap();
        let setting = ("HO_POLICY_FILE".to_owned(), file.display().to_string());
        Self::spawn(folder, vec![setting])
    }

    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::spawn(tempfile::tempdir().unwrap(), settings.collect())
    }

    fn spawn(folder: TempDir, settings: Vec<(String, String)>) -> Self {
        let (child, url) = run(folder.path(), "0", &settings);
        Self {
            url,
            folder,
            settings,
            child,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again after `kill`, on the same port.
    pub(crate) fn restart(&mut self) {
        let port = self.url.rsplit_once(':').unwrap().1;
        (self.child, _) = run(self.folder.path(), port, &self.settings);
    }

    /// The ids of the requests that people were asked about, in any order, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.questions().into_iter().map(|it| it.id).collect()
    }

    /// The only request that people were asked about, when its email is there.
    pub(crate) fn only_id(&self) -> String {
        let id = eventually("an email", || self.asked().pop());
        assert_eq!(self.asked().len(), 1);
        id
    }

    pub(crate) fn email(&self, id: &str) -> String {
        self.question(id).text
    }

    pub(crate) fn approve(&self, id: &str) {
        self.decide(id, &[("decision", "approve"), ("code", &self.code(id))]);
    }

    pub(crate) fn reject(&self, id: &str, comment: &str) {
        self.reject_with(id, &[("code", &self.code(id)), ("comment", comment)]);
    }

    /// Rejects with these fields of the form.
    pub(crate) fn reject_with(&self, id: &str, fields: &[(&str, &str)]) {
        self.decide(id, &[&[("decision", "reject")], fields].concat());
    }

    /// The code in the email, which proves who decides.
    pub(crate) fn code(&self, id: &str) -> String {
        self.question(id).code
    }

    pub(crate) fn status(&self, id: &str) -> Value {
        let (status, body) = self.call("GET", &format!("/api/status/{id}"), "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the execution of this request has a status.
    pub(crate) fn await_execution(&self, id: &str, status: &str) -> Value {
        eventually(status, || {
            let found = self.status(id)["execution"].clone();
            (found["status"] == status).then_some(found)
        })
    }

    /// Runs a command of an operator.
    pub(crate) fn operate(&self, arguments: &[&str]) {
        let mut command = Command::new(built("human-oversight"));
        command.arg(arguments[0]).args(["--url", &self.url]);
        command.args(&arguments[1..]).env("HO_MASTER_KEY", "none");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// As an approver does: opens the link of the email and posts the form.
    fn decide(&self, id: &str, fields: &[(&str, &str)]) {
        let link = self.question(id).link;
        let path = link.strip_prefix(&self.url).unwrap();
        let (_, page) = self.call("GET", path, "");
        let token = between(&page, "name=\"form\" value=\"", "\"");
        let (path, k) = path.split_once("?k=").unwrap();
        let fields = [&[("form", token)], fields].concat();
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| format!("&{name}={}", encode(value)));
        let fields: String = fields.collect();
        let (status, page) = self.call("POST", path, &format!("k={k}{fields}"));
        assert!(matches!(status, 200 | 303), "{status} {page}");
    }

    fn question(&self, id: &str) -> Question {
        eventually("the email of a request", || {
            self.questions().into_iter().find(|it| it.id == id)
        })
    }

    fn questions(&self) -> Vec<Question> {
        let mut found: Vec<Question> = Vec::new();
        for file in emails(&self.folder.path().join("mail")) {
            // A file that is being written is read the next time.
            let question = std::fs::read(file).ok().and_then(|bytes| question(&bytes));
            found.extend(question.filter(|it| found.iter().all(|other| other.id != it.id)));
        }
        found
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let (url, length) = (&self.url, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: {url}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn run(folder: &Path, port: &str, settings: &[(String, String)]) -> (Child, String) {
    let mut child = Command::new(built("human-oversight"))
        .env_clear()
        .env("HO_PORT", port)
        .env("HO_STORE", format!("embedded:{}/store", folder.display()))
        .env("HO_MAIL", format!("file:{}/mail", folder.display()))
        .env("HO_SWEEP_SECONDS", "1")
        .env("HO_MAIL_BUDGET", "off")
        .env("HO_OWNER_BUDGET", "off")
        .envs(settings.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| {
        let line = line.unwrap();
        line.contains("url=\"")
            .then(|| between(&line, "url=\"", "\"").to_owned())
    });
    // Read on, or the gate would block.
    thread::spawn(move || lines.for_each(drop));
    (child, url.expect("the gate starts"))
}

fn emails(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "eml"))
        .collect()
}

fn question(bytes: &[u8]) -> Option<Question> {
    let message = MessageParser::default().parse(bytes)?;
    if message.in_reply_to().as_text().is_some() {
        return None;
    }
    let text = message.body_text(0)?.into_owned();
    let link = text
        .split_whitespace()
        .find(|it| it.contains("/api/decision/"))?;
    let code = text
        .split("type this code there:")
        .nth(1)?
        .trim_start()
        .get(..6)?;
    Some(Question {
        id: between(link, "/api/decision/", "?").to_owned(),
        link: link.to_owned(),
        code: code.to_owned(),
        text: text.clone(),
    })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} in {text}"))
        .1;
    rest.split_once(after).unwrap().0
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
