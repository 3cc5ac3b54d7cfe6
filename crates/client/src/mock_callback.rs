//! The callbacks of a mock.

use human_oversight_protocol::callback::{Body, Data, ID, SIGNATURE, Secret, TIMESTAMP};
use human_oversight_protocol::types::{Approval, NewCallback, Status};
use time::OffsetDateTime;

/// A call that the gate would make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MockCallback {
    /// The channel that the request named.
    pub channel: String,
    /// The headers.
    pub headers: [(&'static str, String); 3],
    /// The body.
    pub body: Vec<u8>,
}

/// The first callback of a request, sent now.
pub(crate) fn callback(to: &NewCallback, approval: &Approval, secret: &Secret) -> MockCallback {
    let event = match approval.status {
        Status::Timeout => "request.expired",
        _ => "request.decided",
    };
    let body = Body {
        kind: event.to_owned(),
        timestamp: approval.response_timestamp.clone().unwrap_or_default(),
        data: Data {
            agent_name: approval.agent_name.clone(),
            correlation_id: approval.correlation_id.clone(),
            sequence: 1,
            status: approval.status,
            state: to.state.clone(),
        },
    };
    let body = serde_json::to_vec(&body).expect("a struct of texts and a number");
    let id = format!("{}-1", approval.correlation_id);
    let now = OffsetDateTime::now_utc().unix_timestamp().to_string();
    let signature = secret.sign(&id, &now, &body);
    MockCallback {
        channel: to.channel.clone(),
        headers: [(ID, id), (TIMESTAMP, now), (SIGNATURE, signature)],
        body,
    }
}
