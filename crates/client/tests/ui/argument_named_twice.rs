use human_oversight_client::approval_gate;

macro_rules! delete {
    ($name:ident $(, $mark:meta)?) => {
        #[approval_gate(agent_name = "A", action_description = "Delete")]
        async fn delete(user: String, $(#[$mark])? $name: String) -> String {
            user + &$name
        }
    };
}

mod shown {
    use super::*;
    delete!(user);
}

mod redacted {
    use super::*;
    delete!(user, approval(redact));
}

mod skipped {
    use super::*;
    delete!(user, approval(skip));
}

fn main() {}
