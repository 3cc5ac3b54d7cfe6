//! Calls from every kind of runtime and thread: none waits for a thread that another call holds.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use human_oversight_client::{Action, Reason};
use tokio::runtime::{Builder, Runtime};

use super::{refusal, user};
use crate::deadline::blocking_within;
use crate::harness::TestGate;

/// Far above what the calls take, and below the 30 seconds that a client waits for a response.
const NO_STALL: Duration = Duration::from_secs(20);

/// A call that gets its responses from the gate and ends without an approver: the timeout is too short.
async fn call(action: Action) {
    let refused = action.submit(&user()).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Invalid, "{:?}", refused.detail);
}

fn call_blocking(action: &Action) {
    let refused = refusal(action.run_blocking(&user(), |_| panic!("it ran")));
    assert_eq!(refused.reason, Reason::Invalid, "{:?}", refused.detail);
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Two calls at once, each in a task that blocks its worker.
async fn block_both_workers(action: Action) {
    let tasks = [action.clone(), action].map(|action| {
        tokio::spawn(async move {
            call(action.clone()).await;
            call_blocking(&action);
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

/// Runs a future without a runtime.
fn block_on_without_runtime<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

type Way = (&'static str, fn(&Action, &Runtime));

const WAYS: [Way; 8] = [
    ("async on a runtime that then ends", |action, _| {
        one_thread().block_on(call(action.clone()));
    }),
    ("async on a runtime that stays, idle", |action, idle| {
        idle.block_on(call(action.clone()));
    }),
    ("async on several threads", |action, _| {
        let task = call(action.clone());
        let runtime = two_threads();
        runtime.block_on(runtime.spawn(task)).unwrap();
    }),
    ("async without a runtime", |action, _| {
        block_on_without_runtime(call(action.clone()));
    }),
    ("blocking, in a thread", |action, _| {
        let action = action.clone();
        thread::spawn(move || call_blocking(&action))
            .join()
            .unwrap();
    }),
    ("blocking, in spawn_blocking", |action, idle| {
        let action = action.clone();
        let task = idle.spawn_blocking(move || call_blocking(&action));
        idle.block_on(task).unwrap();
    }),
    ("blocking, in the only thread of a runtime", |action, _| {
        one_thread().block_on(async {
            call(action.clone()).await;
            call_blocking(action);
        });
    }),
    ("blocking, in each thread of a runtime", |action, _| {
        two_threads().block_on(block_both_workers(action.clone()));
    }),
];

#[test]
fn a_call_from_any_runtime_may_follow_one_from_any_other() {
    blocking_within(|| {
        let (host, idle) = (two_threads(), one_thread());
        let gate = host.block_on(TestGate::start());
        let action = gate.gate().action("Delete User Account");
        let action = action.timeout(Duration::from_secs(1));
        for (before, first) in WAYS {
            for (after, second) in WAYS {
                let started = Instant::now();
                first(&action, &idle);
                second(&action, &idle);
                let took = started.elapsed();
                assert!(took < NO_STALL, "{before}, {after}: {took:?}");
            }
        }
        host.block_on(async { drop(gate) });
    });
}
