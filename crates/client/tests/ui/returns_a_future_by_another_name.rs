use human_oversight_client::approval_gate;

type Later = std::pin::Pin<Box<dyn Future<Output = usize>>>;

#[approval_gate(
    agent_name = "Agent",
    action_description = "Count",
    refusal_return_value = Box::pin(async { 0 }),
)]
fn count(user_id: String) -> Later {
    Box::pin(async move { user_id.len() })
}

fn main() {
    drop(count("1".to_owned()));
}
