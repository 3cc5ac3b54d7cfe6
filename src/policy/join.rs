//! Several demands as one.

use std::num::NonZeroU8;

use super::people::Member;
use super::requirement::{Ask, Escalate, Requirement, Source};

impl Requirement {
    /// Adds an approval by those whom the agent names to the first stage.
    pub(super) fn add_requested(&mut self) {
        let ask = Ask {
            from: Source::Requested,
            members: Vec::new(),
            needed: NonZeroU8::MIN,
        };
        if let Some(first) = self.stages.first_mut() {
            add(first, &ask);
        }
    }

    /// Demands what `other` demands too. The order in which demands are joined makes no difference, except to
    /// that of texts.
    pub(super) fn join(&mut self, other: &Self) {
        for (index, stage) in other.stages.iter().enumerate() {
            if index == self.stages.len() {
                self.stages.push(Vec::new());
            }
            for ask in stage {
                add(&mut self.stages[index], ask);
            }
        }
        self.rejections = self.rejections.min(other.rejections);
        self.sign_in |= other.sign_in;
        self.comment = self.comment.max(other.comment);
        self.not_before = self.not_before.max(other.not_before);
        self.timeout = least(self.timeout, other.timeout);
        self.run_within = least(self.run_within, other.run_within);
        self.on_behalf_of_required |= other.on_behalf_of_required;
        unite(&mut self.summary, &other.summary);
        unite(&mut self.reject_reasons, &other.reject_reasons);
        self.reask = self.reask.max(other.reask);
        self.grants = self.grants.min(other.grants);
        self.join_escalate(other.escalate.as_ref());
    }

    /// The earliest escalation, to all of both.
    fn join_escalate(&mut self, other: Option<&Escalate>) {
        let Some(other) = other else { return };
        let Some(escalate) = &mut self.escalate else {
            self.escalate = Some(other.clone());
            return;
        };
        escalate.after_percent = escalate.after_percent.min(other.after_percent);
        unite(&mut escalate.from, &other.from);
        escalate.from.sort();
        unite(&mut escalate.to, &other.to);
    }

    /// Names the people: those whom the agent names, and in no ask the person whom it acts for.
    pub(super) fn fill(&mut self, requested: &[Member], is_acted_for: impl Fn(&Member) -> bool) {
        for ask in self.stages.iter_mut().flatten() {
            if ask.from == Source::Requested {
                ask.members = requested.to_vec();
            }
            ask.members.retain(|member| !is_acted_for(member));
        }
        if let Some(escalate) = &mut self.escalate {
            escalate.to.retain(|member| !is_acted_for(member));
        }
    }
}

/// Adds an ask to those of a stage; the same group twice keeps the larger number.
fn add(stage: &mut Vec<Ask>, ask: &Ask) {
    match stage.binary_search_by(|other| other.from.cmp(&ask.from)) {
        Ok(index) => stage[index].needed = stage[index].needed.max(ask.needed),
        Err(index) => stage.insert(index, ask.clone()),
    }
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn unite<T: Clone + PartialEq>(texts: &mut Vec<T>, others: &[T]) {
    for text in others {
        if !texts.contains(text) {
            texts.push(text.clone());
        }
    }
}
