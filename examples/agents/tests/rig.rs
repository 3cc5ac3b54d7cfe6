//! The pattern of the client's README for `rig`: the model reads why a gated function did not run.

use human_oversight_client::mock::{Answer, MockGate};
use human_oversight_client::{Refusal, approval_gate};
use rig::tool::{PortableTool, ToolContext, ToolSet};
use serde_json::{Value, json};

#[approval_gate(
    agent_name = "Publisher",
    action_description = "Publish a page",
    approver_emails = ["alice@example.com"],
    refusal_return_value = |refusal: Refusal| Ok(refusal.to_string()),
)]
async fn publish(title: String) -> Result<String, std::io::Error> {
    Ok(format!("published {title}"))
}

struct Publish;

impl PortableTool for Publish {
    const NAME: &'static str = "publish";
    type Args = Value;
    type Output = String;
    type Error = std::io::Error;

    fn description(&self) -> String {
        "Publishes a page, after a person approved.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"title": {"type": "string"}}})
    }

    async fn call(&self, arguments: Value) -> Result<String, std::io::Error> {
        publish(arguments["title"].as_str().unwrap().to_owned()).await
    }
}

/// What the model reads as the tool's result.
async fn call(answer: Answer) -> String {
    let gate = MockGate::new(move |_| answer.clone()).gate();
    let mut tools = ToolSet::default();
    tools.add_tool(Publish);
    let mut context = ToolContext::new();
    let call = tools.execute("publish", r#"{"title": "News"}"#, &mut context);
    gate.scope(call).await.output().render()
}

#[tokio::test]
async fn the_model_reads_the_result_or_why_there_is_none() {
    let published = call(Answer::Approve).await;
    assert_eq!(published, "published News");
    let rejected = call(Answer::Reject("Ask Legal first.".to_owned())).await;
    assert_eq!(
        rejected,
        "Not run: rejected by alice@example.com. Their reason: Ask Legal first."
    );
}
