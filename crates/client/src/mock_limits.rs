//! What the gate refuses of a request, whatever its configuration, and the client leaves to it.

use std::ops::RangeInclusive;

use human_oversight_protocol::types::{
    ACTION_CHARS, AGENT_BYTES, AGENT_CHARS, APPROVERS, CORRELATION_CHARS, FieldError, NewApproval,
    PARAMETERS_BYTES, REASON_CHARS, STATE_CHARS,
};
use serde_json::Value;

const BODY_BYTES: usize = 64 * 1024;
const CHANNEL_CHARS: usize = 64;
const SECONDS: RangeInclusive<u32> = 10..=2_592_000;

pub(crate) fn is_too_large(request: &NewApproval) -> bool {
    let whole = serde_json::to_string(request);
    whole.expect("the client has made it").len() > BODY_BYTES
}

pub(crate) fn faults(request: &NewApproval) -> Vec<FieldError> {
    let mut checks = Checks::default();
    checks.agent(&request.agent_name);
    checks.line(
        "/actionDescription",
        &request.action_description,
        ACTION_CHARS,
    );
    let parameters = Value::Object(request.parameters.clone()).to_string();
    let most = format!("must have at most {PARAMETERS_BYTES} bytes of canonical JSON");
    checks.refuse(parameters.len() > PARAMETERS_BYTES, "/parameters", &most);
    checks.people(request);
    checks.names(request);
    let (least, most) = (SECONDS.start(), SECONDS.end());
    let is_time = request
        .timeout_seconds
        .is_none_or(|it| SECONDS.contains(&it));
    let limits = format!("must be a whole number from {least} to {most}");
    checks.refuse(!is_time, "/timeoutSeconds", &limits);
    checks.prose(
        "/reason",
        request.reason.as_deref().unwrap_or_default(),
        REASON_CHARS,
    );
    if let Some(callback) = &request.callback {
        checks.length("/callback/channel", &callback.channel, 1, CHANNEL_CHARS);
        let state = callback.state.as_deref().unwrap_or_default();
        checks.length("/callback/state", state, 0, STATE_CHARS);
    }
    checks.0
}

#[derive(Default)]
struct Checks(Vec<FieldError>);

impl Checks {
    fn refuse(&mut self, is_refused: bool, pointer: &str, detail: &str) {
        if is_refused {
            self.0.push(FieldError {
                pointer: pointer.to_owned(),
                detail: detail.to_owned(),
            });
        }
    }

    fn agent(&mut self, name: &str) {
        self.line("/agentName", name, AGENT_CHARS);
        let is_url = name.contains("://");
        self.refuse(
            is_url,
            "/agentName",
            "must not contain `://`: a name is no URL",
        );
        let has_spaces = name.trim() != name;
        self.refuse(has_spaces, "/agentName", "must be without spaces around it");
        let most = format!("must have at most {AGENT_BYTES} bytes of UTF-8");
        self.refuse(name.len() > AGENT_BYTES, "/agentName", &most);
    }

    fn names(&mut self, request: &NewApproval) {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = |name: &str| {
            (1..=CORRELATION_CHARS).contains(&name.len()) && name.chars().all(is_of_name)
        };
        let is_id = |id: &str| {
            id.split_once('.')
                .is_some_and(|(agent, name)| !agent.is_empty() && is_name(name))
        };
        let name = request.correlation_id.as_deref();
        let form = format!("must have 1 to {CORRELATION_CHARS} characters of [A-Za-z0-9._-]");
        self.refuse(!name.is_none_or(is_name), "/correlationId", &form);
        let earlier = request.supersedes.as_deref();
        self.refuse(
            !earlier.is_none_or(is_id),
            "/supersedes",
            "must be the id of a request",
        );
    }

    fn prose(&mut self, pointer: &str, text: &str, most: usize) {
        self.length(pointer, text, 0, most);
        let is_odd = text.contains(|c: char| c.is_control() && !"\n\r\t".contains(c));
        let why = "must not have control characters other than line ends and tabs";
        self.refuse(is_odd, pointer, why);
    }

    fn line(&mut self, pointer: &str, text: &str, most: usize) {
        self.length(pointer, text, 1, most);
        let is_several = text.contains(|c: char| c.is_control() || is_direction_or_line(c));
        self.refuse(
            is_several,
            pointer,
            "must be one line without control characters",
        );
    }

    /// A text that must not be empty must not be blank either.
    fn length(&mut self, pointer: &str, text: &str, least: usize, most: usize) {
        let fits = text.chars().count() <= most && (least == 0 || !text.trim().is_empty());
        self.refuse(
            !fits,
            pointer,
            &format!("must have {least} to {most} characters"),
        );
    }

    fn people(&mut self, request: &NewApproval) {
        let no_address = "must be a plain email address, such as alice@example.com";
        let approvers = request.approver_emails.iter().map(|it| it.trim());
        let approvers: Vec<&str> = approvers.collect();
        let limit = format!("must be an array of 1 to {APPROVERS} email addresses");
        self.refuse(
            !(1..=APPROVERS).contains(&approvers.len()),
            "/approverEmails",
            &limit,
        );
        let agents = request.on_behalf_of.as_deref();
        self.refuse(!agents.is_none_or(is_address), "/onBehalfOf", no_address);
        for (index, address) in approvers.iter().enumerate() {
            let pointer = format!("/approverEmails/{index}");
            let is_person = |other: &str| person(other) == person(address);
            self.refuse(!is_address(address), &pointer, no_address);
            let why = "is the person the agent acts for, who cannot approve";
            self.refuse(agents.is_some_and(is_person), &pointer, why);
            let is_again = approvers[..index].iter().any(|earlier| is_person(earlier));
            self.refuse(is_again, &pointer, "occurs twice");
        }
    }
}

/// Bidirectional controls, and the line and paragraph separators.
fn is_direction_or_line(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}')
}

fn is_address(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "#$&'*+-?^_~.".contains(c);
        let is_dotted = |text: &str| text.split('.').all(|part| !part.is_empty());
        local.chars().all(is_plain)
            && is_dotted(local)
            && is_dotted(domain)
            && domain.contains('.')
            && !domain.contains(char::is_whitespace)
    })
}

/// A name that is equal for all addresses of one person: without regard to case and `+tag`.
fn person(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let local = local.split_once('+').map_or(local, |(name, _)| name);
    format!("{local}@{domain}").to_lowercase()
}
