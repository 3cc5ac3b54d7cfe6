//! The parameters of a request as people read them: first those that the policy names, in large type, then the others.

use serde_json::Value;

use super::block::Block;
use super::secrets::{Secrets, is_inside_withheld};
use super::text::Text;
use crate::policy::Pointer;

/// What stands for a parameter that the policy names and that is not found in what is shown of the request.
pub(super) fn describe_absence(pointer: &Pointer, shown: &Value) -> &'static str {
    if is_inside_withheld(pointer.tokens(), shown) {
        "withheld"
    } else {
        "not in this request"
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParametersView {
    /// Those that the policy names.
    pub(super) first: Option<Block>,
    pub(super) rest: Option<Block>,
}

impl ParametersView {
    /// A parameter that comes first is shown once; of one inside another there is a copy. `write` prepares each text:
    /// a mail defangs it.
    pub(super) fn new(
        parameters: &Value,
        secrets: Secrets,
        summary: &[Pointer],
        write: &mut impl FnMut(&str) -> String,
    ) -> Self {
        let mut rest = parameters.clone();
        let mut first = Vec::new();
        for pointer in summary {
            let path = pointer.tokens();
            let member = path.last().map_or("", String::as_str);
            let block = match pointer.find(parameters) {
                Some(value) => Block::of_member(member, value, secrets, write),
                None => Block::Label(describe_absence(pointer, parameters)),
            };
            let name = path.join(" › ");
            match (path, &mut rest) {
                ([], _) => continue,
                ([member], Value::Object(members)) => drop(members.remove(member)),
                _ => {}
            }
            first.push((Text::of_name(&write(&name)), block));
        }
        let has_rest = first.is_empty() || rest.as_object().is_none_or(|it| !it.is_empty());
        Self {
            first: (!first.is_empty()).then_some(Block::Members(first)),
            rest: has_rest.then(|| Block::of_parameters(&rest, secrets, write)),
        }
    }

    /// The HTML of a page.
    pub(super) fn on_page(&self) -> String {
        let first = self
            .first
            .iter()
            .map(|block| block.on_page_large().to_string());
        let rest = self.rest.iter().map(|block| block.on_page().to_string());
        first.chain(rest).collect()
    }

    /// The HTML of an email.
    pub(super) fn in_mail(&self) -> String {
        let first = self
            .first
            .iter()
            .map(|block| block.in_mail_large().to_string());
        let rest = self.rest.iter().map(|block| block.in_mail().to_string());
        first.chain(rest).collect()
    }

    /// The lines of a plain text.
    pub(super) fn in_plain_text(&self) -> String {
        let blocks = self.first.iter().chain(&self.rest);
        let blocks: Vec<String> = blocks.map(Block::in_plain_text).collect();
        blocks.join("\n\n")
    }

    /// About how many lines they take on a phone.
    pub(super) fn height(&self) -> usize {
        let blocks = self.first.iter().chain(&self.rest);
        blocks.map(Block::height).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(parameters: Value, summary: &[&str]) -> String {
        let summary: Vec<Pointer> = summary
            .iter()
            .map(|it| Pointer::parse(it).unwrap())
            .collect();
        ParametersView::new(&parameters, Secrets::Withheld, &summary, &mut str::to_owned)
            .in_plain_text()
    }

    #[test]
    fn what_the_policy_names_comes_first_and_nothing_is_left_out() {
        let payment =
            json!({"amount": 5, "bank": {"iban": "DE", "name": "N"}, "note": "x", "to": "N"});
        assert_eq!(
            shown(
                payment.clone(),
                &["/to", "/amount", "/bank/iban", "/currency"]
            ),
            "to:           N\namount:       5\nbank › iban:  DE\ncurrency:     (not in this request)\n\nbank:\n  iban:  DE\n  \
             name:  N\nnote:  x"
        );
        assert_eq!(
            shown(payment.clone(), &[]),
            "amount:  5
bank:
  iban:  DE
  name:  N
note:    x
to:      N"
        );
        assert_eq!(shown(json!({"to": "N"}), &["/to"]), "to:  N");
        assert_eq!(shown(json!({}), &["/to"]), "to:  (not in this request)");
        assert_eq!(shown(json!({"to": "N"}), &[""]), "to:  N");
        // What is withheld is in the request.
        let withheld = json!({"credentials": "«withheld»"});
        assert_eq!(
            shown(withheld.clone(), &["/credentials/user", "/user"]),
            "credentials › user:  (withheld)\nuser:                (not in this request)\n\ncredentials:  «withheld»"
        );
        // What is not is found, or absent.
        assert_eq!(
            shown(
                json!({"credentials": {"user": "u"}}),
                &["/credentials/user", "/credentials/id"]
            ),
            "credentials › user:  u\ncredentials › id:    (not in this request)\n\ncredentials:\n  user:  u"
        );
        assert_eq!(
            shown(withheld, &["/credentials"]),
            "credentials:  «withheld»"
        );
    }
}
