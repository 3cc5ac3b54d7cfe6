//! A stand-in for Azure OpenAI and OpenAI, so that the demos run without an account: a server in this
//! process with the same HTTP API. A script computes each message from the conversation.

use std::io;
use std::net::Ipv4Addr;

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::model::{AZURE_API_VERSION, Model, Provider};

const KEY: &str = "offline";
const NAME: &str = "scripted";

/// A message of the scripted model.
pub enum Answer {
    Text(String),
    Call(&'static str, Value),
}

/// The conversation that a request contains.
pub struct Conversation(Value);

impl Conversation {
    /// The system message.
    pub fn instructions(&self) -> String {
        let messages = self.messages();
        let mut by_system = messages
            .iter()
            .filter(|message| message["role"] == "system");
        by_system.next().map(text).unwrap_or_default()
    }

    /// The user's message.
    pub fn user(&self) -> String {
        let messages = self.messages();
        let mut by_user = messages.iter().filter(|message| message["role"] == "user");
        by_user.next().map(text).unwrap_or_default()
    }

    /// The results of the tools, in order.
    pub fn results(&self) -> Vec<String> {
        let messages = self.messages().iter();
        messages
            .filter(|message| message["role"] == "tool")
            .map(text)
            .collect()
    }

    fn messages(&self) -> &[Value] {
        self.0["messages"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The content is a text, or parts that each have a text.
fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    }
}

/// Starts a model whose messages are those of `script`.
pub async fn model(provider: Provider, script: fn(&Conversation) -> Answer) -> io::Result<Model> {
    let router = match provider {
        Provider::AzureOpenAi => {
            let path = format!("/openai/deployments/{NAME}/chat/completions");
            let answer = async move |Query(query): Query<ApiVersion>, headers, Json(request)| {
                if query.api_version != AZURE_API_VERSION {
                    return StatusCode::NOT_FOUND.into_response();
                }
                completion(script, "api-key", KEY, &headers, request)
            };
            Router::new().route(&path, post(answer))
        }
        Provider::OpenAi => {
            let answer = async move |headers, Json(request)| {
                let bearer = format!("Bearer {KEY}");
                completion(script, "authorization", &bearer, &headers, request)
            };
            Router::new().route("/chat/completions", post(answer))
        }
    };
    Ok(Model {
        provider,
        url: serve(router).await?,
        key: KEY.to_owned(),
        name: NAME.to_owned(),
    })
}

#[derive(Deserialize)]
struct ApiVersion {
    #[serde(rename = "api-version")]
    api_version: String,
}

fn completion(
    script: fn(&Conversation) -> Answer,
    header: &str,
    expected: &str,
    headers: &HeaderMap,
    request: Value,
) -> Response {
    if headers.get(header).is_none_or(|key| key != expected) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if request["model"] != NAME {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (message, finish_reason) = match script(&Conversation(request)) {
        Answer::Text(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Answer::Call(name, arguments) => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call =
                json!({"id": format!("call_{name}"), "type": "function", "function": function});
            (
                json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                "tool_calls",
            )
        }
    };
    Json(json!({
        "id": "chatcmpl-offline",
        "object": "chat.completion",
        "created": 0,
        "model": NAME,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    }))
    .into_response()
}

/// Serves on a free local port and returns the address.
pub async fn serve(router: Router) -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
