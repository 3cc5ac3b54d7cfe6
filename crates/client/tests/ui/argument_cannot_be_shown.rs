use human_oversight_client::approval_gate;

struct Connection;

#[approval_gate(agent_name = "Agent", action_description = "Delete")]
async fn delete(user_id: String, connection: &Connection) -> String {
    let _ = connection;
    user_id
}

fn main() {}
