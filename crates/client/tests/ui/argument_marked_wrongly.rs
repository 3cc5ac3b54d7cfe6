use human_oversight_client::approval_gate;

#[approval_gate(agent_name = "Agent", action_description = "Delete")]
async fn delete(#[approval(hide)] user_id: String) -> String {
    user_id
}

fn main() {}
