//! The proxy's own tasks: held calls whose clients take a task at once, and ask for the result later.
//!
//! Tasks of the server are the server's: their ids are others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::answer::{Answer, answer, error};
use crate::call::{Meta, TaskForm};
use crate::claim_key::random_hex;
use crate::lock::lock;
use crate::members::Members;
use crate::message::TaskMethod;
use crate::task::Task;

#[derive(Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, Arc<Task>>>);

/// Of the ids of the proxy's tasks, so that they are none of the server's.
const PREFIX: &str = "human-oversight-";

/// How many tasks are kept, with those that have ended.
const MAX_TASKS: usize = 1_000;

impl Tasks {
    /// Whether an id is one of the proxy's.
    pub(crate) fn is_own(id: &str) -> bool {
        id.starts_with(PREFIX)
    }

    /// Begins the task of a call. Fails with the answer to it when there are too many.
    pub(crate) fn begin(&self, form: TaskForm, meta: Arc<Meta>) -> Result<Arc<Task>, Answer> {
        let mut tasks = self.state();
        if tasks.len() >= MAX_TASKS {
            return Err(error(&format!(
                "not run, and no one was asked: there are {MAX_TASKS} tasks, the most that are kept at a time. Call again \
                 when others have ended for some time, or not as a task"
            )));
        }
        let task = Arc::new(Task::new(
            format!("{PREFIX}{}", random_hex::<16>()),
            form,
            meta,
        ));
        tasks.insert(task.id().to_owned(), task.clone());
        Ok(task)
    }

    /// Answers a request about a task.
    pub(crate) async fn answer(&self, id: &str, method: TaskMethod) -> Answer {
        let Some(task) = self.state().get(id).cloned() else {
            return error(
                "there is no such task, or no more: call the tool again with the same arguments",
            );
        };
        match method {
            TaskMethod::Get => task.found(),
            TaskMethod::Update => answer(json!({"resultType": "complete"})),
            TaskMethod::Cancel => task.cancel().await,
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
        let page = Members::read(page)?;
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
        let mut tasks = lock(&self.0);
        let now = OffsetDateTime::now_utc();
        tasks.retain(|_, task| now < task.lives_until());
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tasks_than_are_kept_are_refused_with_the_number() {
        let tasks = Tasks::default();
        let begin = || tasks.begin(TaskForm::Extension, Arc::default());
        let all: Vec<_> = (0..MAX_TASKS).map(|_| begin()).collect();
        assert!(all.iter().all(Result::is_ok));
        let Err(Answer::Error(error)) = begin() else {
            panic!("one more")
        };
        assert!(error.get().contains("there are 1000 tasks"), "{error}");
    }
}
