use human_oversight_client::approval_gate;

#[approval_gate(agent_name = "Agent", action_description = "Delete", timeout = "3d")]
async fn text(user_id: String) -> String {
    user_id
}

#[approval_gate(agent_name = "Agent", action_description = "Delete", timeout = 3600)]
async fn number(user_id: String) -> String {
    user_id
}

#[approval_gate(agent_name = "Agent", action_description = "Delete", approver_emails = "alice@example.com")]
async fn one(user_id: String) -> String {
    user_id
}

fn main() {}
