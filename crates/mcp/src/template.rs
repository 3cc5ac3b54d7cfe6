//! Texts with placeholders: `{server}`, `{tool}`, and `{arguments.NAME}` where people read the arguments too.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::line::is_line;
use crate::pattern::Pattern;

/// One text for every tool, or a table of texts by patterns of tools.
#[derive(Debug)]
pub(crate) struct Texts(BTreeMap<Pattern, Template>);

#[derive(Debug, PartialEq, Eq)]
struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Server,
    Tool,
    /// The names on the way to an argument.
    Argument(Vec<String>),
}

/// What a text is filled with.
pub(crate) struct Filling<'a> {
    pub(crate) server: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Map<String, Value>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
enum TemplateError {
    #[error("a `{{` needs a `}}`")]
    Open,
    #[error(
        "there is no placeholder `{{{0}}}`: there are {{server}} and {{tool}}, and in `summary` {{arguments.NAME}}"
    )]
    Unknown(String),
}

impl Texts {
    /// The text for a tool, of the pattern that matches it most closely.
    pub(crate) fn fill(&self, filling: &Filling<'_>) -> Option<String> {
        let matching = self
            .0
            .iter()
            .filter(|(pattern, _)| pattern.matches(filling.server, filling.tool));
        let (_, template) = matching.max_by_key(|(pattern, _)| pattern.closeness())?;
        Some(template.fill(filling))
    }

    /// The texts for all patterns.
    pub(crate) fn fill_all(&self, filling: &Filling<'_>) -> impl Iterator<Item = String> {
        self.0.values().map(move |template| template.fill(filling))
    }

    /// Whether each text has characters, on one line.
    pub(crate) fn are_lines(&self) -> bool {
        self.0.values().all(|template| {
            let mut texts = template.0.iter().map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Server | Part::Tool | Part::Argument(_) => "x",
            });
            let has_characters = texts.clone().any(|text| !text.trim().is_empty());
            has_characters && texts.all(is_line)
        })
    }

    /// Whether a text contains arguments.
    pub(crate) fn has_arguments(&self) -> bool {
        let mut parts = self.0.values().flat_map(|template| &template.0);
        parts.any(|part| matches!(part, Part::Argument(_)))
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(TemplateError::Open)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match (name, name.strip_prefix("arguments.")) {
                ("server", _) => Part::Server,
                ("tool", _) => Part::Tool,
                (_, Some(names)) if !names.is_empty() => {
                    Part::Argument(names.split('.').map(str::to_owned).collect())
                }
                _ => return Err(TemplateError::Unknown(name.to_owned())),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    fn fill(&self, filling: &Filling<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Server => filling.server.to_owned(),
            Part::Tool => filling.tool.to_owned(),
            Part::Argument(names) => argument(filling.arguments, names),
        };
        self.0.iter().map(part).collect()
    }
}

/// An argument in words; one that the call does not have is named as missing.
fn argument(arguments: &Map<String, Value>, names: &[String]) -> String {
    let mut found = None;
    let mut object = Some(arguments);
    for name in names {
        found = object.and_then(|object| object.get(name));
        object = found.and_then(Value::as_object);
    }
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => format!("(no {})", names.join(".")),
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTable;
        impl<'de> Visitor<'de> for OneOrTable {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table of texts by patterns of tools")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                let every = Pattern::try_from("*".to_owned()).map_err(E::custom)?;
                let template = Template::parse(text).map_err(E::custom)?;
                Ok(Texts([(every, template)].into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((pattern, text)) = map.next_entry::<Pattern, String>()? {
                    texts.insert(pattern, Template::parse(&text).map_err(A::Error::custom)?);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(OneOrTable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(template: &str) -> String {
        let arguments = json!({"path": "/a", "user": {"id": 7}, "n": [1]});
        let filling = Filling {
            server: "files",
            tool: "delete",
            arguments: arguments.as_object().unwrap(),
        };
        Template::parse(template).unwrap().fill(&filling)
    }

    #[test]
    fn placeholders_are_filled() {
        assert_eq!(fill("{tool} of {server}"), "delete of files");
        assert_eq!(fill("Delete {arguments.path}"), "Delete /a");
        assert_eq!(fill("{arguments.user.id}, {arguments.n}"), "7, [1]");
        assert_eq!(
            fill("{arguments.none} {arguments.path.x}"),
            "(no none) (no path.x)"
        );
        assert_eq!(fill("a } b"), "a } b");
    }

    #[test]
    fn a_placeholder_that_does_not_exist_is_an_error() {
        for unknown in ["{path}", "{}", "{arguments.}", "{arguments}"] {
            assert!(matches!(
                Template::parse(unknown),
                Err(TemplateError::Unknown(_))
            ));
        }
        assert_eq!(Template::parse("{tool"), Err(TemplateError::Open));
    }
}
