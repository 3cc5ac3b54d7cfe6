//! What can be seen from outside: the address of the gate, its sign-in, and the transport of emails.

use std::collections::BTreeMap;
use std::time::Duration;

use human_oversight::app::Finding;
use human_oversight::channels::{Channel, Message, Receiver, Sender};
use human_oversight::config::Config;
use human_oversight::keys::random_bytes;
use human_oversight::mailer::{MailError, Mailer};
use human_oversight::render::{render_test_card, render_test_email};
use human_oversight::store::StoreError;
use human_oversight::values::{Address, Timestamp};
use human_oversight_protocol::types::KeySet;
use reqwest::Url;
use serde_json::json;

use super::super::clock::{clock, now};

/// The time for a call, and for an email.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const MAIL_TIMEOUT: Duration = Duration::from_secs(45);

/// Where people sign in, in the clouds of Azure.
const SIGN_IN_HOSTS: [&str; 4] = [
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
];

/// Whether the gate answers at its public address, and with the keys of these settings.
pub(super) async fn check_address(config: &Config, receipt_kid: Option<&str>) -> Finding {
    let Some(url) = &config.base_url else {
        return Finding::ok("HO_BASE_URL is not set: the gate is for this machine alone");
    };
    let (status, body) = match get(&format!("{url}/api/keys")).await {
        Ok(answer) => answer,
        Err(error) => return Finding::failed(format!("{url} cannot be reached: {error}")),
    };
    let Ok(published) = serde_json::from_slice::<KeySet>(&body) else {
        return Finding::failed(format!(
            "{url} answers {status}, and not as a gate does: is it the right address?"
        ));
    };
    match receipt_kid {
        Some(kid) if !published.keys.iter().any(|key| key.kid == kid) => Finding::failed(format!(
            "{url} is a gate that does not have the receipt key {kid}: it has other settings"
        )),
        Some(_) => Finding::ok(format!("{url} answers with these receipt keys")),
        None => Finding::ok(format!("{url} answers")),
    }
}

/// Whether the platform in front of the gate leads to the sign-in of the directory, and back to the gate.
pub(super) async fn check_platform_sign_in(config: &Config) -> Option<Finding> {
    let (sign_in, url) = (config.sign_in.as_ref()?, config.base_url.as_ref()?);
    let page = format!("{url}/.auth/login/aad");
    let answer = match client() {
        Ok(client) => client.get(&page).send().await,
        Err(error) => Err(error),
    };
    let answer = match answer.map_err(reqwest::Error::without_url) {
        Ok(answer) => answer,
        Err(error) => {
            return Some(Finding::failed(format!(
                "{page} cannot be reached: {error}"
            )));
        }
    };
    let location = answer.headers().get("location");
    let location = location.and_then(|location| Url::parse(location.to_str().ok()?).ok());
    let Some(location) = location else {
        let status = answer.status().as_u16();
        return Some(Finding::failed(format!(
            "{page} answers {status} and does not lead to a sign-in: is App Service authentication on?"
        )));
    };
    Some(judge_sign_in(&location, &sign_in.tenant.to_string(), url))
}

/// Judges where the platform sends people who are to sign in.
fn judge_sign_in(location: &Url, tenant: &str, url: &str) -> Finding {
    let host = location.host_str().unwrap_or_default();
    let directory = location.path_segments().and_then(|mut it| it.next());
    if location.scheme() != "https" || !SIGN_IN_HOSTS.contains(&host) {
        return Finding::failed(format!(
            "the platform leads to {host}, which is no sign-in of Entra"
        ));
    }
    if directory != Some(tenant) {
        return Finding::failed("the platform leads to the sign-in of another directory");
    }
    let mut query = location.query_pairs();
    let back = query.find_map(|(name, value)| (name == "redirect_uri").then(|| Url::parse(&value)));
    let back = back.and_then(Result::ok).map(|back| back.origin());
    match (back, Url::parse(url).map(|url| url.origin())) {
        (Some(back), Ok(own)) if back != own => Finding::failed(format!(
            "after the sign-in the platform sends people to {}, not to HO_BASE_URL",
            back.ascii_serialization()
        )),
        _ => Finding::ok("the platform leads to the sign-in of the directory"),
    }
}

/// The transport; with an address, a test email is sent to it.
pub(super) async fn check_mail(config: &Config, to: Option<&Address>) -> Finding {
    let transport = config.mail.name();
    let (from, brand) = (config.mail_from.clone(), &config.brand);
    let mailer = Mailer::new(&config.mail, from, &brand.name, Duration::ZERO, clock());
    let mailer = match mailer {
        Ok(mailer) => mailer,
        Err(why) => return Finding::failed(format!("{transport} cannot be used: {why}")),
    };
    let Some(to) = to else {
        return Finding::ok(format!(
            "{transport}; not tried: --mail-to ADDRESS sends a test email"
        ));
    };
    let number = u64::from_ne_bytes(random_bytes());
    let name = format!("check-{number:016x}");
    let url = config.base_url.as_deref().unwrap_or("this machine");
    let email = render_test_email(to.clone(), &name, url, brand, now());
    match mailer.send(&email, MAIL_TIMEOUT).await {
        Ok(()) => Finding::ok(format!(
            "{transport} has accepted a test email: see whether it arrives"
        )),
        Err(error @ MailError::OutcomeUnknown(_)) => {
            Finding::warning(format!("{transport}: {error}"))
        }
        Err(error) => Finding::failed(format!("{transport}: {error}")),
    }
}

/// The channels whose settings can be used, and which of them are `off`. With `sends`, a test event is sent to each.
pub(super) async fn check_channels(
    config: &Config,
    off: &Result<BTreeMap<String, Timestamp>, StoreError>,
    sends: bool,
) -> Vec<Finding> {
    let sender = match Sender::new(config.channels_allow_private) {
        Ok(sender) => sender,
        Err(error) => return vec![Finding::failed(error)],
    };
    let mut found = Vec::new();
    for channel in &config.channels {
        let name = &channel.name;
        match off.as_ref().map(|off| off.get(name)) {
            Ok(None) => {}
            Ok(Some(since)) => found.push(Finding::failed(format!(
                "{name} is switched off since {since}, and gets nothing: human-oversight webhooks enable {name}"
            ))),
            Err(error) => found.push(Finding::failed(format!(
                "{name}: whether it is switched off is unknown: {error}"
            ))),
        }
        if !sends {
            let detail = format!("{name}; not tried: --channels sends a test event");
            found.push(Finding::ok(detail));
            continue;
        }
        let number = u64::from_ne_bytes(random_bytes());
        let now = now();
        let message = Message {
            id: format!("check-{number:016x}"),
            body: test_body(channel, now),
        };
        let sent = sender.send(channel, &message, now, CALL_TIMEOUT).await;
        found.push(match sent {
            Ok(()) => Finding::ok(format!("{name} has accepted a test event")),
            Err(error) => Finding::failed(format!("{name}: {error}")),
        });
    }
    found
}

fn test_body(channel: &Channel, now: Timestamp) -> String {
    let name = &channel.name;
    match channel.receiver {
        Receiver::Teams => render_test_card(name),
        Receiver::Webhook(_) => {
            let data = json!({"channel": name});
            json!({"type": "channel.test", "timestamp": now.to_string(), "data": data}).to_string()
        }
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::builder()
        .timeout(CALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

async fn get(url: &str) -> reqwest::Result<(u16, Vec<u8>)> {
    let answer = client()?.get(url).send().await;
    let answer = answer.map_err(reqwest::Error::without_url)?;
    let status = answer.status().as_u16();
    Ok((status, answer.bytes().await?.to_vec()))
}
