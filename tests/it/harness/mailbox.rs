//! The emails that a gate wrote into its folder, as their recipients read them.

use std::path::Path;

use mail_parser::MessageParser;

/// A received email.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) message_id: String,
    pub(crate) answers: Option<String>,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) source: String,
}

impl Mail {
    pub(crate) fn parse(source: &str) -> Self {
        let message = MessageParser::default().parse(source).unwrap();
        let to = message.to().unwrap().first().unwrap();
        Self {
            to: to.address().unwrap().to_owned(),
            subject: message.subject().unwrap().to_owned(),
            message_id: message.message_id().unwrap().to_owned(),
            answers: message.in_reply_to().as_text().map(str::to_owned),
            text: message.body_text(0).unwrap().into_owned(),
            html: message.body_html(0).unwrap().into_owned(),
            source: source.to_owned(),
        }
    }
}

pub(crate) fn mails(folder: &Path) -> Vec<Mail> {
    let Ok(folder) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut mails: Vec<Mail> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| Mail::parse(&std::fs::read_to_string(path).unwrap()))
        .collect();
    mails.sort_by(|a, b| a.message_id.cmp(&b.message_id));
    mails
}

/// The link and the code of a request email.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) link: String,
    pub(crate) code: String,
}

impl Question {
    /// A code that is not this one.
    pub(crate) fn wrong_code(&self) -> &'static str {
        if self.code == "000000" {
            "000001"
        } else {
            "000000"
        }
    }
}

pub(crate) fn question(mails: &[Mail], id: &str, address: &str) -> Question {
    let mail = mails
        .iter()
        .find(|mail| mail.to == address && mail.answers.is_none() && mail.text.contains(id))
        .expect("the request email was sent");
    let link = mail
        .text
        .lines()
        .find(|line| line.contains("/api/decision/"))
        .unwrap();
    let (_, code) = mail.text.split_once("type this code there:").unwrap();
    Question {
        link: link.trim().to_owned(),
        code: code.trim()[..6].to_owned(),
    }
}
