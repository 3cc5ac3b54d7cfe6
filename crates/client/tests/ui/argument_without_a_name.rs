use human_oversight_client::approval_gate;

#[approval_gate(agent_name = "Agent", action_description = "Delete")]
async fn delete((user_id, _): (String, u32)) -> String {
    user_id
}

fn main() {}
