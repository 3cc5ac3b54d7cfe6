//! `/inbox`: the emails that the file transport wrote, in local development. Production has no such route,
//! since anyone who can read these emails can approve.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mail_parser::{Address, Message, MessageParser};
use tokio::fs;

use super::error::Error;
use super::page::page;
use crate::app::App;
use crate::mailer::TransportConfig;
use crate::render::{self, InboxEmail, Zone};
use crate::values::{Timestamp, is_plain_name};

const NO_EMAIL: &str = "there is no such email";
/// The policy for the body of an email: inline styles, no scripts, and links open outside the frame.
const EMAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; \
                           sandbox allow-popups allow-popups-to-escape-sandbox";

/// The maximum length of an email's name, in characters.
const NAME_CHARS: usize = 100;

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let emails = emails(folder(&app)?, &app.config.brand.zone).await;
    let emails = emails.map_err(|error| Error::Unavailable(error.to_string()))?;
    let approvals = app.overview().await?;
    let html = render::render_inbox(&approvals, &emails, &app.config.brand.zone, app.now());
    Ok(page_with_frame(html))
}

/// The emails, newest first.
async fn emails(folder: &FilePath, zone: &Zone) -> std::io::Result<Vec<InboxEmail>> {
    let mut folder = match fs::read_dir(folder).await {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut emails = Vec::new();
    while let Some(entry) = folder.next_entry().await? {
        let path = entry.path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "eml")
            && is_plain_name(name, NAME_CHARS)
        {
            let source = fs::read(&path).await?;
            let written = entry.metadata().await.and_then(|file| file.modified()).ok();
            emails.push((written, summary(name, &source, zone)));
        }
    }
    emails.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    Ok(emails.into_iter().map(|(_, email)| email).collect())
}

/// The folder of the emails; 404 if another transport sends them.
fn folder(app: &App) -> Result<&FilePath, Error> {
    match &app.config.mail {
        TransportConfig::File(dir) => Ok(dir),
        _ => Err(Error::NotFound(NO_EMAIL)),
    }
}

pub(super) async fn email(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let source = source(folder(&app)?, &name).await?;
    let email = summary(&name, &source, &app.config.brand.zone);
    Ok(page_with_frame(render::render_inbox_email(&email)))
}

pub(super) async fn part(
    State(app): State<Arc<App>>,
    Path((name, part)): Path<(String, String)>,
) -> Result<Response, Error> {
    let source = source(folder(&app)?, &name).await?;
    let message = MessageParser::default().parse(&source);
    let message = message.as_ref();
    let (kind, body) = match part.as_str() {
        "html" => (
            "text/html; charset=utf-8",
            message.and_then(|m| m.body_html(0)),
        ),
        "text" => (
            "text/plain; charset=utf-8",
            message.and_then(|m| m.body_text(0)),
        ),
        "source" => (
            "text/plain; charset=utf-8",
            Some(String::from_utf8_lossy(&source)),
        ),
        _ => return Err(Error::NotFound(NO_EMAIL)),
    };
    let body = body.ok_or(Error::NotFound(NO_EMAIL))?.into_owned();
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, EMAIL_POLICY),
    ];
    Ok((headers, body).into_response())
}

async fn source(folder: &FilePath, name: &str) -> Result<Vec<u8>, Error> {
    if !is_plain_name(name, NAME_CHARS) {
        return Err(Error::NotFound(NO_EMAIL));
    }
    fs::read(folder.join(format!("{name}.eml")))
        .await
        .map_err(|_| Error::NotFound(NO_EMAIL))
}

fn summary(name: &str, source: &[u8], zone: &Zone) -> InboxEmail {
    let message = MessageParser::default().parse(source).unwrap_or_default();
    InboxEmail {
        name: name.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        from: first_address(message.from()),
        to: first_address(message.to()),
        date: date(&message, zone),
        request: message.body_text(0).and_then(|text| request_id(&text)),
    }
}

/// The id in the link of an email.
fn request_id(text: &str) -> Option<String> {
    let (_, link) = text.split_once("/api/decision/")?;
    let end = link.find(['?', '\r', '\n']).unwrap_or(link.len());
    Some(link[..end].to_owned())
}

fn first_address(addresses: Option<&Address<'_>>) -> String {
    addresses
        .and_then(|addresses| addresses.first())
        .and_then(|address| address.address())
        .unwrap_or_default()
        .to_owned()
}

fn date(message: &Message<'_>, zone: &Zone) -> String {
    let written = message
        .date()
        .and_then(|date| Timestamp::parse(&date.to_rfc3339()));
    written.map(|it| zone.in_words(it)).unwrap_or_default()
}

/// A page that may frame the body of an email.
fn page_with_frame(html: String) -> Response {
    page(StatusCode::OK, "frame-src 'self'; ", html)
}
