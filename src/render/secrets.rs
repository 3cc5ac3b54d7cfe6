//! Withholds the values of members whose names suggest a secret.

use serde_json::{Map, Value};

use crate::reveal::{self, Alarms, is_secret, is_secret_name};

/// Where values are withheld.
#[derive(Clone, Copy)]
pub(super) enum Withheld {
    InEmail,
    /// All of them, in an email that shows no parameters.
    All,
    /// On a page that was opened by the link alone.
    OnPage,
}

/// Whether texts under the names of secrets stand for values that are withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    Withheld,
    Shown,
}

impl Secrets {
    /// Whether a text under this name stands for a value that is withheld.
    pub(super) fn are_withheld(self, name: &str) -> bool {
        self == Self::Withheld && is_secret_name(name)
    }

    /// The exact JSON.
    pub(super) fn json(self, value: &Value) -> String {
        match self {
            Self::Withheld => reveal::json_with_marks(value, is_secret_name),
            Self::Shown => reveal::json(value),
        }
    }
}

/// What was withheld.
#[derive(Default)]
pub(super) struct Hidden {
    /// How many values.
    pub(super) count: usize,
    /// The alarms about them, which quote them.
    pub(super) alarms: Alarms,
}

/// How the words begin that stand for a value.
const WITHHELD: &str = "withheld";
const NOT_IN_MAIL: &str = "not shown in mail";

/// What is said of a value beside which there would be an alarm.
const ALARMING: &str = "; some characters do not show or mislead";

impl Withheld {
    /// What is shown instead of a value.
    fn replace(self, value: &Value, hidden: &mut Hidden) -> Value {
        let alarms = hidden.alarms.count();
        hidden.alarms.scan_value(value);
        hidden.count += 1;
        let alarming = if hidden.alarms.count() > alarms {
            ALARMING
        } else {
            ""
        };
        let words = match (self, value) {
            (Self::InEmail | Self::All, _) => NOT_IN_MAIL.to_owned(),
            (Self::OnPage, Value::String(text)) => {
                let count = text.chars().count();
                let characters = if count == 1 {
                    "character"
                } else {
                    "characters"
                };
                format!("{WITHHELD}, {count} {characters}")
            }
            (Self::OnPage, _) => WITHHELD.to_owned(),
        };
        format!("«{words}{alarming}»").into()
    }

    /// Replaces the values, and notes them in `hidden`.
    pub(super) fn withhold(self, value: Value, hidden: &mut Hidden) -> Value {
        match value {
            whole if matches!(self, Self::All) => self.replace(&whole, hidden),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, member)| {
                    let member = if is_secret(&name, &member) && !member.is_null() {
                        self.replace(&member, hidden)
                    } else {
                        self.withhold(member, hidden)
                    };
                    (name, member)
                });
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.withhold(item, hidden));
                Value::Array(items.collect())
            }
            plain => plain,
        }
    }
}

/// Whether a path leads into a value that is withheld, of which nothing shows what is in it.
pub(super) fn is_inside_withheld(path: &[String], shown: &Value) -> bool {
    let mut at = Some(shown);
    path.iter().any(|name| {
        at = at.and_then(|it| match it {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            it => it.get(name),
        });
        is_secret_name(name) && at.and_then(Value::as_str).is_some_and(is_withheld)
    })
}

fn is_withheld(shown: &str) -> bool {
    let words = shown.strip_prefix('«');
    words.is_some_and(|it| it.starts_with(WITHHELD) || it.starts_with(NOT_IN_MAIL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_with_the_name_of_a_secret_are_withheld() {
        let value = json!({"user": "1", "Password": "x", "nested": [{"api-key": "yz", "monkey": "z"}],
                           "sshKey": "s", "partitionKey": "p", "connection_string": {"deep": 1}, "token": null});
        let mut hidden = Hidden::default();
        let dots = "«not shown in mail»";
        assert_eq!(
            Withheld::InEmail.withhold(value.clone(), &mut hidden),
            json!({"user": "1", "Password": dots, "nested": [{"api-key": dots, "monkey": "z"}],
                   "sshKey": dots, "partitionKey": "p", "connection_string": dots, "token": null})
        );
        assert_eq!(hidden.count, 4);
        let shown = Withheld::OnPage.withhold(value, &mut hidden);
        assert_eq!(shown["nested"][0]["api-key"], "«withheld, 2 characters»");
        assert_eq!(shown["connection_string"], "«withheld»");
        let shown = Withheld::OnPage.withhold(json!({"pin": "7"}), &mut hidden);
        assert_eq!(shown["pin"], "«withheld, 1 character»");
    }

    #[test]
    fn a_number_of_tokens_is_shown_and_a_token_that_is_a_number_is_not() {
        let shown = json!({"max_tokens": 800, "maxOutputTokens": 1, "tokens": 2, "token_count": 3, "tokenLimit": 4});
        let withheld = json!({"token": 123456, "auth-token": 7, "secretTokens": 8, "pin": 9, "passTokens": 10,
                              "tokens_key": 11, "maxTokens": "ab", "tokens": ["x"], "bearer tokens": {"a": 1}});
        let mut hidden = Hidden::default();
        assert_eq!(Withheld::OnPage.withhold(shown.clone(), &mut hidden), shown);
        Withheld::OnPage.withhold(withheld.clone(), &mut hidden);
        assert_eq!(hidden.count, withheld.as_object().unwrap().len());
    }
}
