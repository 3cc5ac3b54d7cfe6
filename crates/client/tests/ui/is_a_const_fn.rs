use human_oversight_client::approval_gate;

#[approval_gate(agent_name = "Agent", action_description = "Count")]
const fn count(number: u32) -> u32 {
    number
}

fn main() {}
