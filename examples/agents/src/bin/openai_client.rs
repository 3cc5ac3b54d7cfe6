//! An agent that administers users: a chat model with function calling, and one function that needs a
//! person's approval.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::{Context, bail};
use async_openai::Client;
use async_openai::config::{AzureConfig, Config, OpenAIConfig};
use async_openai::types::chat::{
    ChatCompletionMessageToolCalls, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestToolMessage, ChatCompletionRequestUserMessage, ChatCompletionTool,
    ChatCompletionTools, CreateChatCompletionRequest, FunctionCall, FunctionObject,
};
use human_oversight_agents::model::{AZURE_API_VERSION, Model, Provider};
use human_oversight_agents::offline::{self, Answer, Conversation};
use human_oversight_agents::waiting::Waiting;
use human_oversight_client::{Gate, Refusal, approval_gate};
use serde::Deserialize;
use serde_json::{Value, json};

const INSTRUCTIONS: &str = "You administer the users of a company. Look users up before you act on \
    them. To delete a user, a person must approve: if the answer is that it was not run, do not try \
    again, but tell the user why.";

const TASK: &str = "The contract of former-contractor@example.com has ended. Delete the account.";

/// The maximum number of calls to the model, in case it loops.
const ROUNDS: usize = 10;

/// The directory that the agent administers: addresses by id.
static USERS: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails early if the gate is not configured, and installs the TLS provider of all HTTP here.
    Gate::from_env()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let model = match arguments.as_slice() {
        [] => Model::from_env()?,
        [offline] if offline == "--offline" => {
            offline::model(Provider::AzureOpenAi, script).await?
        }
        _ => bail!("usage: openai_client [--offline]"),
    };
    USERS.lock().expect("no panic").extend([
        ("1", "former-contractor@example.com"),
        ("2", "accounting@example.com"),
        ("3", "support@example.com"),
    ]);
    println!("Users: {}", list_users());
    println!("You: {TASK}");
    println!("Agent: {}", converse(&model, TASK).await?);
    println!("Users: {}", list_users());
    Ok(())
}

/// Passes the model's calls to the functions and their results to the model, until it responds with text.
async fn converse(model: &Model, task: &str) -> anyhow::Result<String> {
    let client = client(model);
    let mut messages: Vec<ChatCompletionRequestMessage> = vec![
        ChatCompletionRequestSystemMessage::from(INSTRUCTIONS).into(),
        ChatCompletionRequestUserMessage::from(task).into(),
    ];
    for _ in 0..ROUNDS {
        let request = CreateChatCompletionRequest {
            model: model.name.clone(),
            messages: messages.clone(),
            tools: Some(tools()),
            ..Default::default()
        };
        let response = client.chat().create(request).await?;
        let choice = response.choices.into_iter().next();
        let message = choice.context("the model returned no choice")?.message;
        let calls = message.tool_calls.unwrap_or_default();
        if calls.is_empty() {
            let refusal = message.refusal;
            return message
                .content
                .or(refusal)
                .context("the model returned no text");
        }
        messages.push(
            ChatCompletionRequestAssistantMessage {
                content: message.content.map(Into::into),
                tool_calls: Some(calls.clone()),
                ..Default::default()
            }
            .into(),
        );
        for call in calls {
            let ChatCompletionMessageToolCalls::Function(call) = call else {
                bail!("the model called an unknown kind of tool");
            };
            let FunctionCall { name, arguments } = &call.function;
            println!("Agent calls {name}({arguments})");
            // The model gets errors too, so that it can correct its call.
            let result = dispatch(name, arguments)
                .await
                .unwrap_or_else(|error| format!("Error: {error:#}"));
            println!("    {result}");
            messages.push(
                ChatCompletionRequestToolMessage {
                    content: result.into(),
                    tool_call_id: call.id,
                }
                .into(),
            );
        }
    }
    bail!("the model still calls functions after {ROUNDS} rounds")
}

fn client(model: &Model) -> Client<Box<dyn Config>> {
    Client::with_config(match model.provider {
        Provider::AzureOpenAi => Box::new(
            AzureConfig::new()
                .with_api_base(&model.url)
                .with_api_key(&model.key)
                .with_api_version(AZURE_API_VERSION)
                .with_deployment_id(&model.name),
        ),
        Provider::OpenAi => Box::new(
            OpenAIConfig::new()
                .with_api_base(&model.url)
                .with_api_key(&model.key),
        ),
    })
}

fn tools() -> Vec<ChatCompletionTools> {
    let function = |name: &str, description: &str, properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
            .collect();
        ChatCompletionTools::Function(ChatCompletionTool {
            function: FunctionObject {
                name: name.to_owned(),
                description: Some(description.to_owned()),
                parameters: Some(json!({
                    "type": "object",
                    "required": required,
                    "properties": properties,
                    "additionalProperties": false,
                })),
                strict: Some(true),
            },
        })
    };
    vec![
        function(
            "list_users",
            "All users: their ids and addresses.",
            json!({}),
        ),
        function(
            "delete_user",
            "Deletes the user with this id and address, after a person approved.",
            json!({"user_id": {"type": "string"}, "email": {"type": "string"}}),
        ),
    ]
}

async fn dispatch(name: &str, arguments: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct User {
        user_id: String,
        email: String,
    }
    match name {
        "list_users" => Ok(list_users()),
        "delete_user" => {
            let User { user_id, email } = serde_json::from_str(arguments)?;
            delete_user(&Waiting::start(), user_id, email).await
        }
        _ => bail!("there is no function {name}"),
    }
}

fn list_users() -> String {
    json!(*USERS.lock().expect("no panic")).to_string()
}

/// Runs only after a person approved exactly this user; the address tells people which one that is. The
/// model gets a refusal, with the approver's comment, as a result.
#[approval_gate(
    agent_name = "UserManagerAgent",
    action_description = "Delete User Account",
    refusal_return_value = |refusal: Refusal| Ok(refusal.to_string()),
    on_pending = waiting.callback(),
)]
async fn delete_user(
    #[approval(skip)] waiting: &Waiting,
    user_id: String,
    email: String,
) -> anyhow::Result<String> {
    let mut users = USERS.lock().expect("no panic");
    if users.get(user_id.as_str()) != Some(&email.as_str()) {
        bail!("there is no user {user_id} with this address");
    }
    users.remove(user_id.as_str());
    Ok(format!("User {user_id} ({email}) deleted."))
}

/// The model of `--offline`: looks up the user, calls for the deletion, and repeats its result.
fn script(conversation: &Conversation) -> Answer {
    let results = conversation.results();
    let Some(listed) = results.first() else {
        return Answer::Call("list_users", json!({}));
    };
    if let Some(result) = results.get(1) {
        return Answer::Text(format!("I asked for the deletion. {result}"));
    }
    let users: BTreeMap<String, String> = serde_json::from_str(listed).unwrap_or_default();
    let task = conversation.user();
    match users.into_iter().find(|(_, email)| task.contains(email)) {
        Some((id, email)) => Answer::Call("delete_user", json!({"user_id": id, "email": email})),
        None => Answer::Text("There is no such user.".to_owned()),
    }
}
