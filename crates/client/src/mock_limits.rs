//! What the gate refuses of a request, whatever its configuration, and the client leaves to it.

use human_oversight_protocol::MAX_DEPTH;
use human_oversight_protocol::parameters::Parameters;
use human_oversight_protocol::text::{address_name, breaks_line};
use human_oversight_protocol::types::{
    ACTION_CHARS, AGENT_BYTES, AGENT_CHARS, APPROVERS, BODY_BYTES, CHANNEL_CHARS,
    CORRELATION_CHARS, FieldError, NewApproval, PARAMETERS_BYTES, REASON_CHARS, STATE_CHARS,
    TIMEOUT_SECONDS,
};
use serde_json::Value;

pub(crate) fn is_too_large(request: &NewApproval) -> bool {
    let whole = serde_json::to_string(request);
    whole.expect("the client has made it").len() > BODY_BYTES
}

/// Objects and arrays below the top of the body, whose member `parameters` is.
pub(crate) fn is_too_deep(request: &NewApproval) -> bool {
    1 + levels(request.parameters.values()) > MAX_DEPTH
}

fn levels<'v>(items: impl IntoIterator<Item = &'v Value>) -> usize {
    let below = items.into_iter().map(|item| match item {
        Value::Object(members) => levels(members.values()),
        Value::Array(items) => levels(items),
        _ => 0,
    });
    below.max().map_or(0, |most| most + 1)
}

pub(crate) fn faults(request: &NewApproval) -> Vec<FieldError> {
    let mut checks = Checks::default();
    checks.agent(&request.agent_name);
    checks.line(
        "/actionDescription",
        &request.action_description,
        ACTION_CHARS,
    );
    match Parameters::new(&request.parameters) {
        Ok(parameters) => {
            let most = format!("must have at most {PARAMETERS_BYTES} bytes of canonical JSON");
            let is_long = parameters.canonical().len() > PARAMETERS_BYTES;
            checks.refuse(is_long, "/parameters", &most);
        }
        Err(error) => checks.refuse(true, "/parameters", &error.to_string()),
    }
    checks.people(request);
    checks.names(request);
    let (least, most) = (TIMEOUT_SECONDS.start(), TIMEOUT_SECONDS.end());
    let is_time = request
        .timeout_seconds
        .is_none_or(|it| TIMEOUT_SECONDS.contains(&it.into()));
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
        let is_hidden = name.contains(does_not_show);
        self.refuse(
            is_hidden,
            "/agentName",
            "must have only characters that show",
        );
        let most = format!("must have at most {AGENT_BYTES} bytes of UTF-8");
        self.refuse(name.len() > AGENT_BYTES, "/agentName", &most);
    }

    fn names(&mut self, request: &NewApproval) {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = |name: &str| {
            (1..=CORRELATION_CHARS).contains(&name.len()) && name.chars().all(is_of_name)
        };
        let is_base64url =
            |text: &str| !text.is_empty() && text.chars().all(|c| c != '.' && is_of_name(c));
        let is_id = |id: &str| {
            id.split_once('.')
                .is_some_and(|(agent, name)| is_base64url(agent) && is_name(name))
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
        let is_several = text.contains(breaks_line);
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
            let is_person = |other: &str| address_name(other) == address_name(address);
            self.refuse(!is_address(address), &pointer, no_address);
            let why = "is the person the agent acts for, who cannot approve";
            self.refuse(agents.is_some_and(is_person), &pointer, why);
            let is_again = approvers[..index].iter().any(|earlier| is_person(earlier));
            self.refuse(is_again, &pointer, "occurs twice");
        }
    }
}

/// Format characters, spaces other than the usual one, private use, and fillers and variation selectors. Those that
/// Unicode has not assigned are left to the gate, and so is the form NFC.
fn does_not_show(c: char) -> bool {
    matches!(u32::from(c),
        0xA0 | 0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160
        | 0x1680 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x2000..=0x200F | 0x2028..=0x202F | 0x205F..=0x2064
        | 0x2066..=0x206F | 0x2800 | 0x3000 | 0x3164 | 0xE000..=0xF8FF | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
        | 0xFFF9..=0xFFFC | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x16FE4 | 0x1BCA0..=0x1BCA3 | 0x1D159
        | 0x1D173..=0x1D17A | 0xE0000..=0x10FFFF)
}

fn is_address(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "#$&'*+-?^_~.".contains(c);
        let is_of_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii();
        let is_label = |label: &str| {
            label.chars().all(is_of_label) && !label.starts_with('-') && !label.ends_with('-')
        };
        let is_dotted = |text: &str| text.split('.').all(|part| !part.is_empty());
        text.len() <= 254
            && local.len() <= 64
            && local.chars().all(is_plain)
            && is_dotted(local)
            && is_dotted(domain)
            && domain.contains('.')
            && domain.split('.').all(is_label)
            && !domain.contains(does_not_show)
    })
}
