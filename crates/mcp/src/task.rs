//! A held call as a task of the proxy.
//!
//! A task is a call that waits, as long as its client asks about it. One that its client has cancelled or forgotten runs
//! nothing that does not run yet; its request stays open for the next same call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::{Answer, answer, error, raw};
use crate::call::{Meta, TaskForm};
use crate::end::Ended;
use crate::held::{HeldCalls, Joined, Stage};
use crate::members::Members;
use crate::output::Output;
use crate::progress::{PERIOD, Progress, Tokens};
use crate::words;

pub(crate) struct Task {
    id: String,
    meta: Arc<Meta>,
    form: TaskForm,
    created_at: OffsetDateTime,
    state: watch::Sender<State>,
    /// When its client asked last.
    asked: watch::Sender<Instant>,
}

#[derive(Clone)]
struct State {
    status: Status,
    /// For people and models.
    message: Option<String>,
    updated_at: OffsetDateTime,
}

#[derive(Clone)]
enum Status {
    Working,
    /// With the result of the call, which may be a refusal.
    Completed(Answer, Arc<Ended>),
    Cancelled,
}

/// The longest time for a decision and a run, and so for which a task works.
const TTL: Duration = Duration::from_secs(31 * 86_400);

/// How long a task is kept after its end, as its client asks.
const MIN_KEPT: Duration = Duration::from_secs(600);
const MAX_KEPT: Duration = Duration::from_secs(3_600);

/// A task that its client has not asked about for so long waits no more.
const FORGOTTEN: Duration = Duration::from_secs(120);

const RELATED: &str = "io.modelcontextprotocol/related-task";
const IMMEDIATE: &str = "io.modelcontextprotocol/model-immediate-response";

impl Task {
    pub(crate) fn new(id: String, form: TaskForm, meta: Arc<Meta>) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            id,
            meta,
            form,
            created_at: now,
            state: watch::Sender::new(State {
                status: Status::Working,
                message: None,
                updated_at: now,
            }),
            asked: watch::Sender::new(Instant::now()),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Until when it is kept.
    pub(crate) fn lives_until(&self) -> OffsetDateTime {
        let state = self.state.borrow();
        match state.status {
            Status::Working => self.created_at + TTL,
            Status::Completed(..) | Status::Cancelled => state.updated_at + kept(self.form),
        }
    }

    /// What the call is answered with at once.
    pub(crate) fn created(&self) -> Answer {
        let mut task = self.facts();
        match self.form {
            TaskForm::Core { .. } => {
                answer(json!({"task": task, "_meta": {IMMEDIATE: words::TASK}}))
            }
            TaskForm::Extension => {
                task["resultType"] = "task".into();
                answer(task)
            }
        }
    }

    /// Waits in the place of the call.
    pub(crate) async fn attend(
        &self,
        joined: Joined,
        held: &HeldCalls,
        output: &Output,
        tokens: &Tokens,
    ) {
        let mut seat = match joined {
            Joined::Seat(seat) => seat,
            Joined::Kept(ended) => {
                self.complete(ended);
                return;
            }
        };
        let mut progress = Progress::new(&self.meta, output, tokens);
        loop {
            let stage = seat.stage();
            if let Stage::Ended(ended) = &stage {
                if self.complete(ended.clone()) {
                    return self.notify(output).await;
                }
            } else {
                if self.note(words::progress(&stage)) {
                    self.notify(output).await;
                }
                progress.write(&stage).await;
            }
            tokio::select! {
                biased;
                () = self.until(|it| matches!(it.status, Status::Cancelled)) => {
                    self.explain(held.leave(seat));
                    return self.notify(output).await;
                }
                () = seat.changed() => {}
                () = self.is_forgotten(FORGOTTEN) => { self.give_up(words::FORGOTTEN); }
                () = sleep(PERIOD) => {}
            }
        }
    }

    /// Ends with the answer of the call. A task that was cancelled before does not.
    fn complete(&self, ended: Arc<Ended>) -> bool {
        let answer = words::end(ended.end(), self.meta.is_stateless);
        self.change(Status::Completed(answer, ended), None)
    }

    pub(crate) fn found(&self) -> Answer {
        self.ask();
        let mut task = self.facts();
        if self.form == TaskForm::Extension {
            task["resultType"] = "complete".into();
            if let Status::Completed(answer, ended) = &self.state.borrow().status {
                ended.read();
                let (name, value) = match answer {
                    Answer::Result(result) => ("result", result),
                    Answer::Error(error) => ("error", error),
                };
                // As the server wrote it.
                let task = RawValue::from_string(task.to_string()).expect("a value is JSON");
                let members = Members::read(&task).expect("an object of different members");
                return raw(members.with(name, value.get()));
            }
        }
        answer(task)
    }

    /// The result of the call, when there is one.
    pub(crate) async fn result(&self) -> Answer {
        loop {
            self.ask();
            tokio::select! {
                () = self.until(|it| !matches!(it.status, Status::Working)) => break,
                () = sleep(FORGOTTEN / 4) => {}
            }
        }
        let status = self.state.borrow().status.clone();
        let Status::Completed(answer, ended) = status else {
            return error("the task was cancelled: it has no result");
        };
        ended.read();
        match answer {
            Answer::Result(result) => raw(self.related(&result)),
            error @ Answer::Error(_) => error,
        }
    }

    /// A result that says of which task it is.
    fn related(&self, result: &RawValue) -> String {
        let task = json!({"taskId": self.id}).to_string();
        let Some(members) = Members::read(result) else {
            return result.get().to_owned();
        };
        let meta = members.get("_meta").and_then(Members::read);
        let meta = match meta {
            Some(meta) => meta.with(RELATED, &task),
            None => json!({RELATED: {"taskId": self.id}}).to_string(),
        };
        members.with("_meta", &meta)
    }

    /// Stops waiting, and says whether the call runs already.
    pub(crate) async fn cancel(&self) -> Answer {
        let is_cancelled = self.change(Status::Cancelled, None);
        if is_cancelled {
            self.until(|it| it.message.is_some()).await;
        }
        match self.form {
            TaskForm::Extension => answer(json!({"resultType": "complete"})),
            TaskForm::Core { .. } if is_cancelled => answer(self.facts()),
            TaskForm::Core { .. } => error("the task has ended"),
        }
    }

    /// Says of a task that was cancelled what became of its call, unless it was said why.
    fn explain(&self, has_run: bool) {
        let why = words::cancelled(has_run).to_owned();
        self.state.send_modify(|state| {
            state.message.get_or_insert(why);
        });
    }

    pub(crate) fn give_up(&self, why: &str) -> bool {
        self.change(Status::Cancelled, Some(why.to_owned()))
    }

    fn note(&self, message: Option<String>) -> bool {
        self.change(Status::Working, message)
    }

    /// Changes the state, unless the task has ended. Whether it did.
    fn change(&self, status: Status, message: Option<String>) -> bool {
        self.state.send_if_modified(|state| {
            let is_same = matches!(status, Status::Working) && state.message == message;
            if is_same || !matches!(state.status, Status::Working) {
                return false;
            }
            let updated_at = OffsetDateTime::now_utc();
            *state = State {
                status,
                message,
                updated_at,
            };
            true
        })
    }

    async fn until(&self, is_it: impl FnMut(&State) -> bool) {
        drop(self.state.subscribe().wait_for(is_it).await);
    }

    fn ask(&self) {
        self.asked.send_replace(Instant::now());
    }

    /// Waits until the client has not asked for so long.
    async fn is_forgotten(&self, patience: Duration) {
        loop {
            let until = *self.asked.borrow() + patience;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    async fn notify(&self, output: &Output) {
        if matches!(self.form, TaskForm::Core { .. }) {
            let method = "notifications/tasks/status";
            let line = json!({"jsonrpc": "2.0", "method": method, "params": self.facts()});
            output.write(format!("{line}\n").as_bytes()).await;
        }
    }

    pub(crate) fn facts(&self) -> Value {
        let lives = self.lives_until() - self.created_at;
        let state = self.state.borrow();
        let status = match &state.status {
            Status::Working => "working",
            Status::Completed(Answer::Result(_), _) => "completed",
            Status::Completed(Answer::Error(_), _) => "failed",
            Status::Cancelled => "cancelled",
        };
        let (ttl, pause) = match self.form {
            TaskForm::Core { .. } => ("ttl", "pollInterval"),
            TaskForm::Extension => ("ttlMs", "pollIntervalMs"),
        };
        let at = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
        let mut task = json!({
            "taskId": self.id,
            "status": status,
            "createdAt": at(self.created_at),
            "lastUpdatedAt": at(state.updated_at),
            ttl: lives.whole_milliseconds() as u64,
            pause: PERIOD.as_millis() as u64,
        });
        if let Some(message) = &state.message {
            task["statusMessage"] = message.as_str().into();
        }
        task
    }
}

fn kept(form: TaskForm) -> Duration {
    match form {
        TaskForm::Core { ttl: Some(asked) } => {
            Duration::from_millis(asked).clamp(MIN_KEPT, MAX_KEPT)
        }
        TaskForm::Core { ttl: None } | TaskForm::Extension => MAX_KEPT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::end::{End, Lost};

    #[tokio::test]
    async fn a_task_is_forgotten_when_no_one_has_asked_for_long_enough() {
        let task = Task::new("id".to_owned(), TaskForm::Extension, Arc::default());
        let patience = Duration::from_millis(200);
        let asking = async {
            sleep(patience / 2).await;
            task.found();
            Instant::now()
        };
        let ((), asked) = tokio::join!(task.is_forgotten(patience), asking);
        assert!(asked.elapsed() >= patience);
        assert!(task.give_up(words::FORGOTTEN));
        // Then it takes no result any more.
        assert!(!task.complete(Ended::new(End::Lost(Lost::ServerEnded))));
        assert!(
            task.facts()["statusMessage"]
                .as_str()
                .unwrap()
                .contains("call the tool again")
        );
    }

    #[test]
    fn a_task_lives_as_long_as_people_may_take_and_after_its_end_for_an_hour_at_most() {
        let least_and_most = [
            (Some(1), MIN_KEPT),
            (Some(u64::MAX), MAX_KEPT),
            (None, MAX_KEPT),
        ];
        for (ttl, kept) in least_and_most {
            let task = Task::new("id".to_owned(), TaskForm::Core { ttl }, Arc::default());
            assert_eq!(task.lives_until(), task.created_at + TTL);
            let before = OffsetDateTime::now_utc();
            assert!(task.complete(Ended::new(End::Lost(Lost::ServerEnded))));
            let after = OffsetDateTime::now_utc();
            let end = task.lives_until() - kept;
            assert!(before <= end && end <= after, "{end}");
        }
    }
}
