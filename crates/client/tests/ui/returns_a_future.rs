use std::future::Future;
use std::pin::Pin;

use human_oversight_client::approval_gate;

#[approval_gate(
    agent_name = "Agent",
    action_description = "Count",
    refusal_return_value = Box::pin(async { 0 }),
)]
fn count(user_id: String) -> Pin<Box<dyn Future<Output = usize>>> {
    let count = async move { user_id.len() };
    Box::pin(count)
}

fn main() {}
