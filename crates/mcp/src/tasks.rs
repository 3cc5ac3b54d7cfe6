//! The proxy's own tasks: held calls whose clients take a task at once, and ask for the result later.
//!
//! A task is a call that waits, as long as its client asks about it. One that its client has cancelled or forgotten runs
//! nothing; its request stays open for the next same call. Tasks of the server are the server's: their ids are others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::{Answer, answer, error, raw};
use crate::call::{Meta, TaskForm};
use crate::claim_key::random_hex;
use crate::held::{HeldCalls, Joined, Stage};
use crate::members::Members;
use crate::message::TaskMethod;
use crate::output::Output;
use crate::progress::{PERIOD, Progress};
use crate::words;

#[derive(Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, Arc<Task>>>);

pub(crate) struct Task {
    id: String,
    meta: Arc<Meta>,
    form: TaskForm,
    created_at: OffsetDateTime,
    ttl: Duration,
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
    Completed(Answer),
    Cancelled,
}

/// Of the ids of the proxy's tasks, so that they are none of the server's.
const PREFIX: &str = "human-oversight-";

/// The longest time for a decision and a run, and so the least for which a task is kept.
const TTL: Duration = Duration::from_secs(31 * 86_400);

/// A task that its client has not asked about for so long waits no more.
const FORGOTTEN: Duration = Duration::from_secs(120);

const RELATED: &str = "io.modelcontextprotocol/related-task";
const IMMEDIATE: &str = "io.modelcontextprotocol/model-immediate-response";

impl Tasks {
    /// Whether an id is one of the proxy's.
    pub(crate) fn is_own(id: &str) -> bool {
        id.starts_with(PREFIX)
    }

    /// Begins the task of a call.
    pub(crate) fn begin(&self, form: TaskForm, meta: Arc<Meta>) -> Arc<Task> {
        let now = OffsetDateTime::now_utc();
        let task = Arc::new(Task {
            id: format!("{PREFIX}{}", random_hex::<16>()),
            meta,
            form,
            created_at: now,
            ttl: ttl(form),
            state: watch::Sender::new(State {
                status: Status::Working,
                message: None,
                updated_at: now,
            }),
            asked: watch::Sender::new(Instant::now()),
        });
        self.state().insert(task.id.clone(), task.clone());
        task
    }

    /// Answers a request about a task. There is no answer if the client no longer wants the result.
    pub(crate) async fn answer(&self, id: &str, method: TaskMethod) -> Answer {
        let Some(task) = self.state().get(id).cloned() else {
            return error(
                "there is no such task, or no more: call the tool again with the same arguments",
            );
        };
        match method {
            TaskMethod::Get => task.found(),
            TaskMethod::Update => answer(json!({"resultType": "complete"})),
            TaskMethod::Cancel => task.cancel(),
            TaskMethod::Result => task.result().await,
        }
    }

    /// The tasks, as `tasks/list` has them; the server's page comes first if there is one.
    pub(crate) fn list(&self, page: Option<&RawValue>) -> Option<Answer> {
        let own: Vec<String> = {
            let tasks = self.state();
            tasks
                .values()
                .map(|task| task.facts().to_string())
                .collect()
        };
        let Some(page) = page else {
            return RawValue::from_string(format!("{{\"tasks\":[{}]}}", own.join(",")))
                .map(Answer::Result)
                .ok();
        };
        let page = Members::read(page, &[])?;
        let theirs: Vec<&RawValue> = serde_json::from_str(page.get("tasks")?.get()).ok()?;
        let all: Vec<&str> = theirs
            .iter()
            .map(|task| task.get())
            .chain(own.iter().map(String::as_str))
            .collect();
        let page = page.with("tasks", &format!("[{}]", all.join(",")));
        RawValue::from_string(page).map(Answer::Result).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().is_empty()
    }

    /// The client has closed its end.
    pub(crate) fn clear(&self) {
        for (_, task) in self.state().drain() {
            task.give_up("the client went away");
        }
    }

    fn state(&self) -> MutexGuard<'_, HashMap<String, Arc<Task>>> {
        // A panic cannot leave it half-written.
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = OffsetDateTime::now_utc();
        tasks.retain(|_, task| now < task.created_at + task.ttl);
        tasks
    }
}

impl Task {
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
    pub(crate) async fn attend(&self, joined: Joined, held: &HeldCalls, output: &Output) {
        let mut seat = match joined {
            Joined::Seat(seat) => seat,
            Joined::Kept(end) => {
                self.complete(words::end(&end, self.meta.is_stateless));
                return;
            }
        };
        let mut progress = Progress::new(&self.meta);
        loop {
            let stage = seat.stage();
            if let Stage::Ended(end) = &stage {
                let answer = words::end(end, self.meta.is_stateless);
                if self.complete(answer) {
                    return self.notify(output).await;
                }
            } else {
                if self.note(words::progress(&stage)) {
                    self.notify(output).await;
                }
                if let Some(line) = progress.line(&stage) {
                    output.write(line.as_bytes()).await;
                }
            }
            tokio::select! {
                biased;
                () = self.until(|status| matches!(status, Status::Cancelled)) => {
                    held.abandon(seat);
                    return self.notify(output).await;
                }
                () = seat.changed() => {}
                () = self.is_forgotten(FORGOTTEN) => { self.give_up(words::FORGOTTEN); }
                () = sleep(PERIOD) => {}
            }
        }
    }

    /// Ends with the answer of the call. A task that was cancelled before does not.
    pub(crate) fn complete(&self, answer: Answer) -> bool {
        self.change(Status::Completed(answer), None)
    }

    fn found(&self) -> Answer {
        self.ask();
        let mut task = self.facts();
        if self.form == TaskForm::Extension {
            task["resultType"] = "complete".into();
            if let Status::Completed(answer) = &self.state.borrow().status {
                let (name, value) = match answer {
                    Answer::Result(result) => ("result", result),
                    Answer::Error(error) => ("error", error),
                };
                // As the server wrote it.
                let task = RawValue::from_string(task.to_string()).expect("a value is JSON");
                let members = Members::read(&task, &[]).expect("an object of different members");
                return raw(members.with(name, value.get()));
            }
        }
        answer(task)
    }

    /// The result of the call, when there is one.
    async fn result(&self) -> Answer {
        loop {
            self.ask();
            tokio::select! {
                () = self.until(|status| !matches!(status, Status::Working)) => break,
                () = sleep(FORGOTTEN / 4) => {}
            }
        }
        let status = self.state.borrow().status.clone();
        match status {
            Status::Completed(Answer::Result(result)) => raw(self.related(&result)),
            Status::Completed(error) => error,
            Status::Working | Status::Cancelled => {
                error("the task was cancelled: it has no result")
            }
        }
    }

    /// A result that says of which task it is.
    fn related(&self, result: &RawValue) -> String {
        let task = json!({"taskId": self.id}).to_string();
        let Some(members) = Members::read(result, &[]) else {
            return result.get().to_owned();
        };
        let meta = members
            .get("_meta")
            .and_then(|meta| Members::read(meta, &[]));
        let meta = match meta {
            Some(meta) => meta.with(RELATED, &task),
            None => json!({RELATED: {"taskId": self.id}}).to_string(),
        };
        members.with("_meta", &meta)
    }

    fn cancel(&self) -> Answer {
        let is_cancelled = self.give_up("cancelled by the client");
        match self.form {
            TaskForm::Extension => answer(json!({"resultType": "complete"})),
            TaskForm::Core { .. } if is_cancelled => answer(self.facts()),
            TaskForm::Core { .. } => error("the task has ended"),
        }
    }

    fn give_up(&self, why: &str) -> bool {
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

    async fn until(&self, is_it: impl Fn(&Status) -> bool) {
        let mut state = self.state.subscribe();
        drop(state.wait_for(|state| is_it(&state.status)).await);
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

    fn facts(&self) -> Value {
        let state = self.state.borrow();
        let status = match &state.status {
            Status::Working => "working",
            Status::Completed(Answer::Result(_)) => "completed",
            Status::Completed(Answer::Error(_)) => "failed",
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
            ttl: self.ttl.as_millis() as u64,
            pause: PERIOD.as_millis() as u64,
        });
        if let Some(message) = &state.message {
            task["statusMessage"] = message.as_str().into();
        }
        task
    }
}

fn ttl(form: TaskForm) -> Duration {
    let TaskForm::Core { ttl: Some(asked) } = form else {
        return TTL;
    };
    TTL.max(Duration::from_millis(asked)).min(TTL * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_is_forgotten_when_no_one_has_asked_for_long_enough() {
        let task = Tasks::default().begin(TaskForm::Extension, Arc::default());
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
        assert!(!task.complete(error("late")));
        assert!(
            task.facts()["statusMessage"]
                .as_str()
                .unwrap()
                .contains("call the tool again")
        );
    }

    #[test]
    fn a_task_lives_as_long_as_people_may_take_and_no_client_makes_it_live_for_ever() {
        assert_eq!(ttl(TaskForm::Core { ttl: Some(1) }), TTL);
        assert_eq!(
            ttl(TaskForm::Core {
                ttl: Some(u64::MAX)
            }),
            TTL * 10
        );
    }
}
