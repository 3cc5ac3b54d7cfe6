//! The settings of email: transport, notifications, branding.

use std::path::PathBuf;

use super::error::{ConfigError, ConfigErrors};
use super::lookup::{HOME, Lookup, principal, resource, unusable};
use crate::domain::NotificationSettings;
use crate::mailer::{AcsConfig, GraphConfig, SmtpConfig, TransportConfig};
use crate::render::{Brand, ParameterDisclosure, Zone};
use crate::values::Address;

/// The transport, if its settings can be used.
pub(super) fn transport(
    get: &Lookup<'_>,
    production: bool,
    errors: &mut ConfigErrors,
) -> Option<TransportConfig> {
    let mail = match transport_of(get, production, errors) {
        Ok(TransportConfig::File(_)) if production => Err(unusable(
            "HO_MAIL",
            "the inbox is for local development: it does not send email",
        )),
        Ok(mail) if production && !mail.is_encrypted() => {
            Err(unusable("HO_MAIL", "production requires TLS"))
        }
        mail => mail,
    };
    errors.keep(mail)
}

fn transport_of(
    get: &Lookup<'_>,
    production: bool,
    errors: &mut ConfigErrors,
) -> Result<TransportConfig, ConfigError> {
    let required = |name, why| get(name).ok_or(ConfigError::Missing { name, why });
    let mail = get("HO_MAIL").unwrap_or_else(|| format!("file:{HOME}/mail"));
    match mail.split_once(':').unwrap_or((&mail, "")) {
        ("file", dir) if !dir.is_empty() => Ok(TransportConfig::File(PathBuf::from(dir))),
        ("smtp", "") => {
            let url = required("HO_SMTP_URL", "HO_MAIL=smtp needs a relay")?;
            let password = get("HO_SMTP_PASSWORD");
            let authorities = get("HO_SMTP_CA").map(PathBuf::from);
            let relay = SmtpConfig::parse(&url, password.as_deref(), authorities)
                .map_err(|why| unusable("HO_SMTP_URL", why))?;
            Ok(TransportConfig::Smtp(relay))
        }
        ("acs", "") => resource(
            get,
            ["HO_ACS_ENDPOINT", "HO_ACS_CONNECTION_STRING"],
            "HO_MAIL=acs needs a resource (or HO_ACS_CONNECTION_STRING)",
            |address| AcsConfig::new(address, principal(get, production)),
            AcsConfig::from_connection_string,
        )
        .map(TransportConfig::Acs),
        ("graph", "") => {
            let name = "HO_GRAPH_MAILBOX";
            let mailbox = required(name, "HO_MAIL=graph needs a mailbox");
            let mailbox = mailbox.and_then(|text| address(name, &text));
            let mailbox = errors.or(mailbox, local_sender());
            let endpoint = get("HO_GRAPH_ENDPOINT");
            GraphConfig::new(mailbox, endpoint.as_deref(), principal(get, production))
                .map(TransportConfig::Graph)
                .map_err(|why| unusable("HO_GRAPH_ENDPOINT", why))
        }
        _ => Err(unusable(
            "HO_MAIL",
            "it must be `smtp`, `acs`, `graph` or `file:FOLDER`",
        )),
    }
}

/// The sender of emails. It may have a default that depends on the transport, so without one it can be
/// missing.
pub(super) fn mail_from(
    get: &Lookup<'_>,
    mail: Option<&TransportConfig>,
) -> Result<Address, ConfigError> {
    const NAME: &str = "HO_MAIL_FROM";
    match (get(NAME), mail) {
        (Some(from), _) => address(NAME, &from),
        (None, None | Some(TransportConfig::File(_))) => Ok(local_sender()),
        (None, Some(TransportConfig::Graph(graph))) => Ok(graph.mailbox.clone()),
        (None, Some(_)) => Err(ConfigError::Missing {
            name: NAME,
            why: "emails need a sender",
        }),
    }
}

/// The sender in local development.
pub(super) fn local_sender() -> Address {
    Address::parse("oversight@localhost.invalid").expect("a plain address")
}

fn address(name: &'static str, text: &str) -> Result<Address, ConfigError> {
    Address::parse(text).map_err(|why| unusable(name, &format!("it {why}")))
}

/// `HO_MAIL_NOTES`: all by default.
pub(super) fn notifications(get: &Lookup<'_>) -> Result<NotificationSettings, ConfigError> {
    let Some(list) = get("HO_MAIL_NOTES") else {
        return Ok(NotificationSettings::ALL);
    };
    let mut settings = NotificationSettings {
        reminders: false,
        outcome: false,
        withdrawn: false,
    };
    for name in list.split(',').map(str::trim) {
        match name {
            "reminders" => settings.reminders = true,
            "outcome" => settings.outcome = true,
            "withdrawn" => settings.withdrawn = true,
            "none" if list == "none" => {}
            _ => {
                return Err(unusable(
                    "HO_MAIL_NOTES",
                    "it must be a list of `reminders`, `outcome` and `withdrawn`, or `none`",
                ));
            }
        }
    }
    Ok(settings)
}

pub(super) fn parameter_disclosure(get: &Lookup<'_>) -> Result<ParameterDisclosure, ConfigError> {
    match get("HO_MAIL_PARAMETERS").as_deref() {
        None | Some("redacted") => Ok(ParameterDisclosure::Redacted),
        Some("full") => Ok(ParameterDisclosure::Full),
        Some("none") => Ok(ParameterDisclosure::None),
        Some(_) => Err(unusable(
            "HO_MAIL_PARAMETERS",
            "it must be `full`, `redacted` or `none`",
        )),
    }
}

pub(super) fn brand(get: &Lookup<'_>, errors: &mut ConfigErrors) -> Brand {
    let default = Brand::default();
    let name = "HO_BRAND_COLOR";
    let colour = get(name).map(|text| Brand::parse_colour(&text));
    let colour = colour.transpose().map_err(|why| unusable(name, &why));
    let colour = errors.or(colour, None).unwrap_or(default.colour);
    let name = "HO_TIME_ZONE";
    let zone = get(name).map(|text| Zone::parse(&text));
    let zone = zone.transpose().map_err(|why| unusable(name, &why));
    let zone = errors.or(zone, None).unwrap_or_default();
    let mut line = |name, longest| {
        let line = get(name).map(|text| Brand::parse_line(&text, longest));
        errors.or(line.transpose().map_err(|why| unusable(name, &why)), None)
    };
    Brand {
        name: line("HO_BRAND_NAME", 60).unwrap_or(default.name),
        colour,
        subject_prefix: line("HO_SUBJECT_PREFIX", 30),
        contact: line("HO_BRAND_CONTACT", 200),
        footer: line("HO_BRAND_FOOTER", 300),
        zone,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn each_transport_needs_its_settings() {
        let from = ("HO_MAIL_FROM", "gate@example.com");
        let relay = (
            "HO_SMTP_URL",
            "smtps://gate%40example.com:x%20y@relay.example.com",
        );
        let mail = |choice| ("HO_MAIL", choice);
        for settings in [
            vec![mail("smtp"), relay, from],
            vec![
                mail("acs"),
                ("HO_ACS_ENDPOINT", "https://x.communication.azure.com"),
                from,
            ],
            vec![
                mail("acs"),
                (
                    "HO_ACS_CONNECTION_STRING",
                    "endpoint=https://x.communication.azure.com/;accesskey=a2V5",
                ),
                from,
            ],
            vec![mail("graph"), ("HO_GRAPH_MAILBOX", "gate@example.com")],
        ] {
            let config = read(&settings).unwrap();
            assert_eq!(config.mail_from.as_str(), "gate@example.com");
            assert!(
                !format!("{:?}", config.mail).contains("x y"),
                "{:?}",
                config.mail
            );
            assert!(
                !format!("{:?}", config.mail).contains("a2V5"),
                "{:?}",
                config.mail
            );
        }
        for (settings, name) in [
            (vec![mail("smtp"), from], "HO_SMTP_URL"),
            (vec![mail("smtp"), relay], "HO_MAIL_FROM"),
            (
                vec![
                    mail("smtp"),
                    ("HO_SMTP_URL", "smtp://secret@relay.example.com"),
                ],
                "HO_SMTP_URL",
            ),
            (
                vec![
                    mail("smtp"),
                    ("HO_SMTP_URL", "smtp://a:secret@r.example.com?tls=none"),
                ],
                "HO_SMTP_URL",
            ),
            (
                vec![mail("smtp"), ("HO_SMTP_URL", "http://secret")],
                "HO_SMTP_URL",
            ),
            (vec![mail("acs"), from], "HO_ACS_ENDPOINT"),
            (
                vec![mail("acs"), ("HO_ACS_ENDPOINT", "http://secret")],
                "HO_ACS_ENDPOINT",
            ),
            (
                vec![
                    mail("acs"),
                    ("HO_ACS_CONNECTION_STRING", "accesskey=secret"),
                ],
                "HO_ACS_CONNECTION_STRING",
            ),
            (vec![mail("graph")], "HO_GRAPH_MAILBOX"),
            (
                vec![mail("graph"), ("HO_GRAPH_MAILBOX", "secret")],
                "HO_GRAPH_MAILBOX",
            ),
        ] {
            let error = read(&settings).unwrap_err().to_string();
            assert!(
                error.starts_with(name) && !error.contains("secret"),
                "{error}"
            );
        }
        let notes = read(&[("HO_MAIL_NOTES", "outcome, withdrawn")])
            .unwrap()
            .notifications;
        assert!(!notes.reminders && notes.outcome && notes.withdrawn);
    }
}
