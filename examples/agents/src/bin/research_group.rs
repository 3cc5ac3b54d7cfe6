//! Three agents in a group chat: a Researcher that reads public code, a Critic, and a Publisher. A model
//! chooses the next speaker and the end. A person must approve what is published.

use std::convert::Infallible;

use anyhow::bail;
use human_oversight_agents::github::{self, Gist, GitHub};
use human_oversight_agents::model::{AZURE_API_VERSION, Model, Provider};
use human_oversight_agents::offline::{self, Answer, Conversation};
use human_oversight_agents::waiting::Waiting;
use human_oversight_client::{Gate, Outcome};
use rig::AgentBuilder;
use rig::providers::openai::wire::{AZURE, OpenAIConfig};
use rig::tool::PortableTool;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::{Value, json};

const QUESTION: &str = "How do Rust services shut down gracefully?";

const RESEARCHER: &str = "You are the Researcher. Answer the user's question from public code: \
    search it with several queries, read the files that matter, and write a report that names them. \
    When the Critic finds gaps, close them and write the whole report anew.";

const CRITIC: &str = "You are the Critic. Check the Researcher's last report: does it answer the \
    question, and does it follow from the code that it names? Say what is missing, or say that the \
    report is ready to be published.";

const PUBLISHER: &str = "You are the Publisher. Give the report that the Critic found ready a title \
    and a clean form in Markdown, and publish it as a gist that is not public. A person must approve \
    that. If it was not published, do not try again: tell the others why, word for word.";

const CHAIR: &str = "You chair a conversation; you take no part in it. The Researcher answers the \
    user first. After the Researcher speaks the Critic. After the Critic speaks the Publisher if the \
    report is ready, else the Researcher. When the Publisher has said what became of the report, the \
    conversation is finished.";

/// The maximum number of turns.
const TURNS: usize = 12;

/// The maximum number of tool calls in a turn.
const CALLS: usize = 12;

// The structured output of the chair.
#[derive(Deserialize, JsonSchema)]
struct Choice {
    next: Next,
}

#[derive(Deserialize, JsonSchema)]
enum Next {
    Researcher,
    Critic,
    Publisher,
    Finished,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // First, because it installs the TLS provider that the other HTTP clients here need.
    let gate = Gate::from_env()?.agent("ResearchGroup");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, github) = match arguments.as_slice() {
        [] => (Model::from_env()?, GitHub::from_env()?),
        [offline] if offline == "--offline" => {
            let model = offline::model(Provider::AzureOpenAi, script).await?;
            (model, github::stand_in().await?)
        }
        _ => bail!("usage: research_group [--offline]"),
    };
    let agent = |instructions| {
        builder(&model)
            .preamble(instructions)
            .default_max_turns(CALLS)
    };
    let researcher = agent(RESEARCHER)
        .tool(SearchCode(github.clone()))
        .tool(FileContent(github.clone()))
        .build();
    let critic = agent(CRITIC).build();
    let publisher = agent(PUBLISHER).tool(PublishGist { gate, github }).build();
    let chair = agent(CHAIR).build();

    let mut said = format!("User: {QUESTION}");
    println!("{said}");
    for _ in 0..TURNS {
        let choice = chair.prompt_typed::<Choice>(said.as_str()).await?.output;
        let (name, speaker) = match choice.next {
            Next::Researcher => ("Researcher", &researcher),
            Next::Critic => ("Critic", &critic),
            Next::Publisher => ("Publisher", &publisher),
            Next::Finished => return Ok(()),
        };
        let words = speaker.prompt(said.as_str()).await?.output();
        println!("\n{name}: {words}");
        said.push_str(&format!("\n\n{name}: {words}"));
    }
    bail!("the conversation did not end within {TURNS} turns")
}

fn builder(model: &Model) -> AgentBuilder {
    let mut config = match model.provider {
        Provider::AzureOpenAi => OpenAIConfig::with_key(&AZURE, model.key.as_str()),
        Provider::OpenAi => OpenAIConfig::new(model.key.as_str()),
    };
    config.base_url = model.url.clone();
    if let Provider::AzureOpenAi = model.provider {
        config.api_version = Some(AZURE_API_VERSION.to_owned());
    }
    AgentBuilder::new(config.client().chat(&model.name))
}

struct SearchCode(GitHub);

#[derive(Deserialize, JsonSchema)]
struct Search {
    query: String,
}

impl PortableTool for SearchCode {
    const NAME: &'static str = "search_code";
    type Args = Search;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        "Finds files of public code on GitHub, by words and GitHub's qualifiers.".to_owned()
    }

    fn parameters(&self) -> Value {
        schema_for!(Search).to_value()
    }

    async fn call(&self, search: Search) -> Result<String, Infallible> {
        println!("Researcher calls search_code({})", search.query);
        Ok(to_text(self.0.search_code(&search.query).await))
    }
}

struct FileContent(GitHub);

#[derive(Deserialize, JsonSchema)]
struct File {
    /// As `owner/name`.
    repository: String,
    path: String,
}

impl PortableTool for FileContent {
    const NAME: &'static str = "file_content";
    type Args = File;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        "The beginning of a file on GitHub.".to_owned()
    }

    fn parameters(&self) -> Value {
        schema_for!(File).to_value()
    }

    async fn call(&self, file: File) -> Result<String, Infallible> {
        println!(
            "Researcher calls file_content({}, {})",
            file.repository, file.path
        );
        Ok(to_text(
            self.0.file_content(&file.repository, &file.path).await,
        ))
    }
}

/// Publishes only after a person approved exactly this gist; otherwise returns the refusal.
struct PublishGist {
    gate: Gate,
    github: GitHub,
}

impl PortableTool for PublishGist {
    const NAME: &'static str = "publish_gist";
    type Args = Gist;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        "Publishes a report as a gist, after a person approved.".to_owned()
    }

    fn parameters(&self) -> Value {
        schema_for!(Gist).to_value()
    }

    async fn call(&self, gist: Gist) -> Result<String, Infallible> {
        println!("Publisher calls publish_gist({})", gist.title);
        let waiting = Waiting::start();
        let outcome = self
            .gate
            .action("Publish GitHub Gist")
            .on_pending(waiting.callback())
            .try_run(&gist, async |gist| self.github.create_gist(gist).await)
            .await;
        drop(waiting);
        Ok(match outcome {
            Outcome::Executed(result) => {
                to_text(result.map(|address| format!("Published: {address}")))
            }
            Outcome::Refused(refusal) => refusal.to_string(),
        })
    }
}

/// A result as a text for the model: rig would withhold an error, which the model needs to correct its
/// call.
fn to_text(result: anyhow::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("Failed: {error:#}"))
}

/// The models of `--offline`, distinguished by their instructions.
fn script(conversation: &Conversation) -> Answer {
    let said = conversation.user();
    let results = conversation.results();
    match conversation.instructions().as_str() {
        CHAIR => Answer::Text(json!({"next": next(&said)}).to_string()),
        RESEARCHER => research(&said, &results),
        CRITIC if last_words("Researcher", &said).contains("ctrl_c") => {
            Answer::Text("The report is ready to be published.".to_owned())
        }
        CRITIC => Answer::Text("The report does not say what signal() waits for.".to_owned()),
        _ => match results.first() {
            None => {
                let report = last_words("Researcher", &said);
                let gist = json!({"title": QUESTION, "content": report, "public": false});
                Answer::Call("publish_gist", gist)
            }
            Some(result) => Answer::Text(result.clone()),
        },
    }
}

fn next(said: &str) -> &'static str {
    let (_, last) = said.rsplit_once("\n\n").unwrap_or(("", said));
    match last.split_once(": ") {
        Some(("User", _)) => "Researcher",
        Some(("Researcher", _)) => "Critic",
        Some(("Critic", words)) if words.contains("ready") => "Publisher",
        Some(("Critic", _)) => "Researcher",
        _ => "Finished",
    }
}

/// Searches, reads one more file than in the last turn, and reports.
fn research(said: &str, results: &[String]) -> Answer {
    let Some((found, read)) = results.split_first() else {
        return Answer::Call(
            "search_code",
            json!({"query": "graceful shutdown language:rust"}),
        );
    };
    let files: Vec<Value> = serde_json::from_str(found).unwrap_or_default();
    let wanted = 1 + said.matches("\n\nCritic: ").count();
    match files.get(read.len()) {
        Some(file) if read.len() < wanted => Answer::Call("file_content", file.clone()),
        _ => {
            let parts: Vec<String> = files
                .iter()
                .zip(read)
                .map(|(file, content)| format!("- {}: `{content}`", file["path"]))
                .collect();
            Answer::Text(format!(
                "They wait for a signal, as here:\n{}",
                parts.join("\n")
            ))
        }
    }
}

fn last_words<'a>(name: &str, said: &'a str) -> &'a str {
    let mut turns = said.rsplit("\n\n");
    turns
        .find_map(|turn| turn.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_default()
}
