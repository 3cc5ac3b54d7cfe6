//! Where a line of actions has what is compared.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use human_oversight::domain::Performed;
use human_oversight::policy::Pointer;
use human_oversight::values::{Decimal, Digest, Timestamp};
use human_oversight_protocol::parameters::sha256;
use human_oversight_protocol::strict_json;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::text::read;

/// As a file says it. Each text that begins with `/` is a JSON pointer (RFC 6901) into a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    at: String,
    action: String,
    id: Option<String>,
    /// The actions of the approvals by those of the lines. Lines with another action are left out.
    actions: Option<BTreeMap<String, String>>,
    /// The values that a line must have to count.
    #[serde(default)]
    only: BTreeMap<String, String>,
    /// Pointers into a line by pointers into the approved parameters.
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    ignore_case: bool,
}

/// Where a line has what is compared.
pub(super) struct Mapping {
    at: Pointer,
    action: Pointer,
    id: Option<Pointer>,
    actions: Option<BTreeMap<String, String>>,
    only: Vec<(Pointer, String)>,
    parameters: Compared,
    ignore_case: bool,
}

/// The parameters that are compared.
enum Compared {
    /// All of them, which the line has in this place.
    All(Pointer),
    /// By pairs of pointers into the approved parameters and into the line.
    Some(Vec<(Pointer, Pointer)>),
}

/// What a line is.
pub(super) enum Line {
    Action(Performed),
    /// One that the mapping leaves out.
    Other,
}

impl Mapping {
    /// Reads a file, or makes the mapping of lines with `at`, `action`, `parameters` and perhaps `id`.
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else {
            return Ok(Self {
                at: pointer("/at")?,
                action: pointer("/action")?,
                id: Some(pointer("/id")?),
                actions: None,
                only: Vec::new(),
                parameters: Compared::All(pointer("/parameters")?),
                ignore_case: false,
            });
        };
        let text = read(path)?;
        let file = strict_json::parse(&text).map_err(|error| anyhow!("{error}"));
        let file = file.and_then(|file| Ok(serde_json::from_value::<File>(file)?));
        let file = file.map_err(|error| anyhow!("{} is no mapping: {error}", path.display()))?;
        Self::new(file).with_context(|| format!("{} is no mapping", path.display()))
    }

    fn new(file: File) -> anyhow::Result<Self> {
        if file.parameters.is_empty() {
            return Err(anyhow!("`parameters` must name at least one"));
        }
        let pair = |(one, other): (&String, &String)| Ok((pointer(one)?, pointer(other)?));
        let parameters: anyhow::Result<_> = file.parameters.iter().map(pair).collect();
        let only = file.only.into_iter();
        let only: anyhow::Result<_> = only.map(|(it, value)| Ok((pointer(&it)?, value))).collect();
        let fold = |text: &str| folded(text, file.ignore_case);
        let actions = file.actions.map(|actions| {
            let folded = actions
                .iter()
                .map(|(line, action)| (fold(line), fold(action)));
            folded.collect()
        });
        Ok(Self {
            at: pointer(&file.at)?,
            action: pointer(&file.action)?,
            id: file.id.as_deref().map(pointer).transpose()?,
            actions,
            only: only?,
            parameters: Compared::Some(parameters?),
            ignore_case: file.ignore_case,
        })
    }

    /// The action of an approval, as it is compared.
    pub(super) fn fold(&self, action: &str) -> String {
        folded(action, self.ignore_case)
    }

    /// The approved parameters, as they are compared.
    pub(super) fn approved(&self, parameters: &Value) -> Digest {
        let missing = json!({"missing": "in the approval"});
        match &self.parameters {
            Compared::All(_) => self.digest([Some(parameters)], &missing),
            Compared::Some(pairs) => {
                self.digest(pairs.iter().map(|(it, _)| it.find(parameters)), &missing)
            }
        }
    }

    /// What a line says.
    pub(super) fn action(&self, number: u64, line: &Value) -> Result<Line, String> {
        let is_other = |(pointer, value): &(Pointer, String)| {
            pointer.find(line).is_none_or(|it| text(it) != *value)
        };
        if self.only.iter().any(is_other) {
            return Ok(Line::Other);
        }
        let action = self.fold(&required(&self.action, line)?);
        let action = match &self.actions {
            None => action,
            Some(actions) => match actions.get(&action) {
                None => return Ok(Line::Other),
                Some(action) => action.clone(),
            },
        };
        let at = required(&self.at, line)?;
        let at = Timestamp::parse(&at).ok_or_else(|| {
            let place = self.at.as_str();
            format!("{place} must be a time such as 2026-11-01T08:00:00Z")
        })?;
        let missing = json!({"missing": "in the line"});
        let parameters = match &self.parameters {
            Compared::All(place) => {
                let why = || format!("{} is missing", place.as_str());
                self.digest([Some(place.find(line).ok_or_else(why)?)], &missing)
            }
            Compared::Some(pairs) => {
                self.digest(pairs.iter().map(|(_, it)| it.find(line)), &missing)
            }
        };
        let name = self.id.as_ref().and_then(|it| it.find(line)).map(text);
        Ok(Line::Action(Performed {
            number,
            name,
            action,
            parameters,
            at,
        }))
    }

    /// What is missing has another stand-in on each side: it is the same as nothing, so that a mapping with a wrong pointer
    /// matches nothing.
    fn digest<'a>(
        &self,
        values: impl IntoIterator<Item = Option<&'a Value>>,
        missing: &Value,
    ) -> Digest {
        let values = values.into_iter().map(|value| match value {
            None => missing.clone(),
            // No object stands for what is missing.
            Some(value) => json!([self.compared(value)]),
        });
        let values: Vec<Value> = values.collect();
        let canonical = serde_json_canonicalizer::to_vec(&values);
        Digest(sha256(&canonical.expect("texts and parsed JSON are JSON")))
    }

    /// A value as it is compared: a number, however it is written, and the text that says it are the same.
    fn compared(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.iter();
                let members = members.map(|(name, it)| (name.clone(), self.compared(it)));
                Value::Object(members.collect())
            }
            Value::Array(items) => items.iter().map(|it| self.compared(it)).collect(),
            Value::Number(number) => {
                let number = number.to_string();
                Value::String(Decimal::parse(&number).map_or(number, |it| it.to_string()))
            }
            value => Value::String(folded(&text(value), self.ignore_case)),
        }
    }
}

fn pointer(text: &str) -> anyhow::Result<Pointer> {
    Pointer::parse(text).map_err(|why| anyhow!("`{text}` {why}"))
}

fn required(pointer: &Pointer, line: &Value) -> Result<String, String> {
    let value = pointer.find(line).filter(|it| !it.is_null());
    value
        .map(text)
        .ok_or_else(|| format!("{} is missing", pointer.as_str()))
}

/// A text as it is, and anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn folded(text: &str, ignore_case: bool) -> String {
    if ignore_case {
        text.to_lowercase()
    } else {
        text.to_owned()
    }
}
