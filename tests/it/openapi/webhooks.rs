//! What the document says of webhooks and callbacks, held against each that a receiver of the tests gets.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use axum::http::HeaderMap;
use boon::{SchemaIndex, Schemas};
use regex::Regex;
use serde_json::Value;

use super::Document;
use crate::harness::repository;
use crate::structure::sources;

/// What the document says, compiled once, since one test alone gets 3,000 calls.
static DESCRIBED: LazyLock<Described> = LazyLock::new(Described::read);

struct Described {
    schemas: Schemas,
    webhooks: HashMap<String, Webhook>,
}

struct Webhook {
    headers: Vec<(String, SchemaIndex)>,
    body: SchemaIndex,
}

impl Described {
    fn read() -> Self {
        let (document, mut schemas) = (Document::read(), Schemas::new());
        let mut webhooks = HashMap::new();
        for (name, webhook) in document.0["webhooks"].as_object().unwrap() {
            let headers = webhook["parameters"].as_array().unwrap().iter();
            let headers = headers.map(|parameter| {
                let place = parameter["$ref"].as_str().unwrap().trim_start_matches('#');
                let header = document.at(place)["name"].as_str().unwrap().to_owned();
                (
                    header,
                    document.compile(&format!("{place}/schema"), &mut schemas),
                )
            });
            let headers = headers.collect();
            let content = "post/requestBody/content/application~1json/schema";
            let body = document.compile(&format!("/webhooks/{name}/{content}"), &mut schemas);
            webhooks.insert(name.clone(), Webhook { headers, body });
        }
        Self { schemas, webhooks }
    }

    fn check(&self, value: &Value, schema: SchemaIndex) {
        let faults = self.schemas.validate(value, schema);
        assert_eq!(faults.map_err(|it| it.to_string()), Ok(()), "{value}");
    }
}

/// Panics if a signed call of the gate is not as the document says. What is not signed goes to a room of Teams.
pub(crate) fn check_webhook(headers: &HeaderMap, body: &str) {
    if !headers.contains_key("webhook-signature") {
        return;
    }
    let event: Value = serde_json::from_str(body).unwrap();
    let kind = event["type"].as_str().unwrap();
    // The same events go to the agent without `url`.
    let is_callback = kind.starts_with("request.") && event["data"].get("url").is_none();
    let name = if is_callback { "callback" } else { kind };
    let webhook = DESCRIBED.webhooks.get(name);
    let webhook = webhook.unwrap_or_else(|| panic!("{name} is not described"));
    for (header, schema) in &webhook.headers {
        DESCRIBED.check(&headers[header].to_str().unwrap().into(), *schema);
    }
    DESCRIBED.check(&event, webhook.body);
}

#[test]
fn each_event_of_the_sources_is_described() {
    let described = &Document::read().0["webhooks"];
    let described = described.as_object().unwrap().keys().map(String::as_str);
    let described: BTreeSet<_> = described.filter(|name| *name != "callback").collect();
    let word = Regex::new(r#""((?:request|grant|pause|channel)\.[a-z]+)""#).unwrap();
    let sources = sources(&repository().join("src"));
    let found = sources.values().flat_map(|it| word.captures_iter(it));
    let found: BTreeSet<_> = found.map(|it| it.get(1).unwrap().as_str()).collect();
    assert_eq!(described, found);
}

#[test]
fn a_callback_has_the_events_that_end_a_wait() {
    let described = Document::read().words("CallbackEvent/properties/type");
    let source = include_str!("../../../src/domain/outbox.rs");
    let (_, rest) = source.split_once("fn wakes_agent").unwrap();
    let (body, _) = rest.split_once("\n    }").unwrap();
    let named = Regex::new(r"Self::([A-Z][a-z]+)").unwrap();
    let named = named.captures_iter(body);
    let named: BTreeSet<_> = named
        .map(|it| format!("request.{}", it[1].to_lowercase()))
        .collect();
    assert_eq!(described, named);
}
