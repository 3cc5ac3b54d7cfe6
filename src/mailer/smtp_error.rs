//! What an error of an SMTP session means: for the email, for its address, or for the settings.

use lettre::transport::smtp::Error;

use super::email::MailError;

/// An error of authentication or of the sender: a permanent one affects every email. A client error means
/// that the relay and the client have no authentication mechanism in common.
pub(super) fn settings_error(error: Error) -> MailError {
    let cause = describe(&error);
    if error.is_permanent() || error.is_client() {
        MailError::Misconfigured(cause)
    } else {
        MailError::Unavailable(cause, None)
    }
}

/// An error about the recipient. Relays also answer about the sender and about themselves here.
pub(super) fn recipient_error(error: Error, recipient: &str) -> MailError {
    refusal(&error, |error| !names_relay(error, recipient))
}

/// An error about the email, whose recipient the relay has accepted. Without an enhanced code, which relays leave out where a
/// sender or a quota is at fault, only a refusal for its size (552) is final.
pub(super) fn content_error(error: Error) -> MailError {
    refusal(&error, |error| has_code(error, &["552"]))
}

/// What a refusal is. `is_final` judges a permanent one without an enhanced code.
fn refusal(error: &Error, is_final: impl Fn(&Error) -> bool) -> MailError {
    let cause = describe(error);
    if !error.is_permanent() {
        return MailError::Unavailable(cause, None);
    }
    let is_refused = match enhanced_code(error).filter(|code| !code.starts_with("5.0.")) {
        Some(code) if SENDER_CODES.contains(&code.as_str()) => {
            return MailError::Misconfigured(cause);
        }
        Some(code) => !is_of_relay(&code),
        None => is_final(error),
    };
    if is_refused {
        MailError::Refused(cause)
    } else {
        MailError::Unavailable(cause, None)
    }
}

/// The enhanced codes for a sender that is not accepted.
const SENDER_CODES: [&str; 2] = ["5.1.7", "5.1.8"];

/// Whether an enhanced code is a reason of the relay, which does not concern the address: its state (RFC 3463: 5.3,
/// without the size of a message), the protocol (5.5.1, 5.5.2), authentication and policy (5.7), and quotas (5.4.5, and
/// Exchange's 5.1.90 and 5.2.25x).
fn is_of_relay(code: &str) -> bool {
    let reasons = ["5.3.", "5.7.", "5.2.25"];
    let codes = ["5.1.90", "5.4.5", "5.5.1", "5.5.2"];
    code != "5.3.4" && (codes.contains(&code) || reasons.iter().any(|it| code.starts_with(it)))
}

/// Whether a response without an enhanced code is about the relay: by its code (RFC 5321, RFC 7504), or by words that
/// are not those of the address.
fn names_relay(error: &Error, recipient: &str) -> bool {
    let text = error.to_string().to_lowercase();
    let text = text.replace(&recipient.to_lowercase(), "");
    has_code(error, &CODES_OF_RELAY) || WORDS_OF_RELAY.iter().any(|word| text.contains(word))
}

const CODES_OF_RELAY: [&str; 8] = ["500", "502", "503", "504", "521", "530", "535", "555"];

/// Words about its rules for senders and clients, its lists of addresses that send spam, and its quotas.
const WORDS_OF_RELAY: [&str; 15] = [
    "relay",
    "sender",
    "sending",
    "rcpthosts",
    "auth",
    "access denied",
    "prohibit",
    "suspended",
    "blacklist",
    "black list",
    "blocklist",
    "blocked",
    "limit",
    "per hour",
    "per day",
];

fn has_code(error: &Error, codes: &[&str]) -> bool {
    let code = error.status().map(|code| code.to_string());
    code.is_some_and(|code| codes.contains(&code.as_str()))
}

/// The codes of a response without its text, which may repeat an address; otherwise the error itself.
pub(super) fn describe(error: &Error) -> String {
    match (error.status(), enhanced_code(error)) {
        (Some(code), Some(enhanced)) => format!("the relay answered {code} {enhanced}"),
        (Some(code), None) => format!("the relay answered {code}"),
        (None, _) if error.is_response() => "the relay sent no valid response".to_owned(),
        (None, _) => root_cause(error),
    }
}

/// The innermost error: those around it repeat one another.
fn root_cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The enhanced status code (RFC 3463) of a response: `5.1.1`, `#5.1.1` or `(#5.1.1)`.
fn enhanced_code(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, response) = text.split_once("): ")?;
    let words = response.split_whitespace();
    let mut words = words.map(|word| word.trim_matches(['(', '#', ')']));
    let class = if error.is_permanent() { "5" } else { "4" };
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let code = words.find(|word| {
        let parts: Vec<&str> = word.split('.').collect();
        match parts[..] {
            [first, subject, detail] => {
                first == class
                    && matches!(subject.as_bytes(), [b'0'..=b'7'])
                    && (1..=3).contains(&detail.len())
                    && is_number(detail)
            }
            _ => false,
        }
    });
    code.map(str::to_owned)
}
