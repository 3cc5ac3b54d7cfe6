use human_oversight_client::approval_gate;

#[approval_gate(action_description = "Delete")]
async fn nameless(user_id: String) -> String {
    user_id
}

#[approval_gate(agent_name = "Agent", action_description = "Delete", approver = "alice@example.com")]
async fn unknown(user_id: String) -> String {
    user_id
}

#[approval_gate(agent_name = "Agent", agent_name = "Other", action_description = "Delete")]
async fn twice(user_id: String) -> String {
    user_id
}

#[approval_gate(agent_name = "Agent", action_description = "Delete", and = "alice@example.com")]
async fn conjunction(user_id: String) -> String {
    user_id
}

fn main() {}
