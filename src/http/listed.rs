//! The lists of operators on the wire.

use human_oversight_protocol::operate::{DamagedRow, Listed, OpenRequest, UnsentEmail, What};

use crate::app::{self, Inspected, Inspection};
use crate::domain::{Approval, State};
use crate::values::Timestamp;

/// Reads from the wire what to list.
pub fn inspection(what: What) -> Inspection {
    match what {
        What::Open => Inspection::Open,
        What::Unsent => Inspection::Unsent,
        What::Damaged => Inspection::Damaged,
    }
}

/// A page of a list, on the wire.
pub fn listed(what: Inspection, page: &Inspected, now: Timestamp) -> Listed {
    let requests = page.requests.iter();
    let damaged = page.damaged.iter().map(|damaged| DamagedRow {
        table: damaged.table.to_owned(),
        row: damaged.row.clone(),
        cause: damaged.cause.clone(),
    });
    let (mut open, mut unsent) = (Vec::new(), Vec::new());
    match what {
        Inspection::Open => open.extend(requests.map(|approval| open_request(approval, now))),
        Inspection::Unsent => unsent.extend(requests.flat_map(unsent_emails)),
        Inspection::Damaged => {}
    }
    Listed {
        open,
        unsent,
        damaged: damaged.collect(),
        unreadable: page.unreadable,
        next: page.next.as_ref().map(app::TableCursor::encode),
    }
}

fn open_request(approval: &Approval, now: Timestamp) -> OpenRequest {
    let request = &approval.request;
    OpenRequest {
        id: request.id.to_string(),
        agent_name: request.id.agent().to_owned(),
        status: approval.status(now).word().to_owned(),
        expires_at: request.expires_at.to_string(),
        claim_by: match &approval.state {
            State::Approved { run_by, .. } => Some(run_by.to_string()),
            _ => None,
        },
        deliverable: approval.deliverable().word().to_owned(),
        locked: approval
            .approvers
            .iter()
            .filter(|it| it.is_locked())
            .count(),
    }
}

fn unsent_emails(approval: &Approval) -> impl Iterator<Item = UnsentEmail> {
    let id = approval.request.id.to_string();
    approval.approvers.iter().flat_map(move |approver| {
        let unsent = approver.deliveries.iter();
        let unsent = unsent.filter(|delivery| app::is_unsent(delivery));
        let id = id.clone();
        unsent.map(move |delivery| UnsentEmail {
            id: id.clone(),
            kind: delivery.notice.word().to_owned(),
            to: approver.address.to_string(),
            state: delivery.state.word().to_owned(),
            at: delivery.state.at().to_string(),
            attempts: delivery.attempts,
            fault: delivery.fault.map(|fault| fault.word().to_owned()),
        })
    })
}
