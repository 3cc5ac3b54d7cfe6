use human_oversight_client::approval_gate;

#[approval_gate(agent_name = "Agent", action_description = "Delete")]
async fn delete(user_id: String) -> String {
    user_id
}

fn main() {
    drop(delete("1".to_owned()));
}
