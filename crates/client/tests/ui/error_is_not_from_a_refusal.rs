use human_oversight_client::approval_gate;

#[approval_gate(agent_name = "Agent", action_description = "Count")]
async fn count(user_id: String) -> Result<usize, std::num::ParseIntError> {
    user_id.parse()
}

fn main() {}
