//! The real gate against a table service that fails: the real router, handlers and table store. Each call
//! runs in a separate process of the gate, with its own clock. A seed determines which actor calls when,
//! which operation is served next and with what result, when time passes, and which process crashes, and when
//! the operator pauses and resumes. After each write, every earlier response is checked against the row, and
//! each row has its entry in the due index. No claim or submit that began while paused is granted before the
//! resume, and no agent runs what is acknowledged as revoked.
//!
//! A failing seed is printed, and can be replayed with `HO_PROOF_SEED=n`. Random values inside the gate
//! (names of writes, pauses) rarely matter: of 400 seeds that were run three times each, four had one
//! run that differed. A failing seed may therefore have to be run more than once.

mod actor;
mod delivery;
mod due_index;
mod grants;
mod ledger;
mod plans;
mod process;
mod quorum;
mod service;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use human_oversight::app::App;
use human_oversight::domain::{Pause, PauseScope};
use human_oversight::values::Timestamp;
use tokio::task::JoinHandle;

use super::{cases, record};
use crate::harness::mails;
use actor::{Actor, new_actors};
use grants::SeenGrants;
use ledger::Ledger;
use process::Scene;
pub(super) use process::{Call, Response, Settings};
use service::Fate;
pub(super) use service::Service;

/// The time until a request expires, an approval lapses, and a missing outcome becomes unknown.
const WITHIN: Duration = Duration::from_secs(60);

/// The clock advances in steps longer than any pause between two retries, so that the random length of
/// a pause does not affect the order of calls.
const STEP: Duration = Duration::from_secs(2);

/// What the assertion about the pause says.
const WHILE_PAUSED: &str = "while paused";

/// The number of events before the faults end; twice as many where requests come one after another.
const EVENTS: usize = 150;

/// The random numbers of a seed.
struct Random(u64);

impl Random {
    /// SplitMix64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// Normally one operation in ten fails; during an outage, seven in ten.
    fn fate(&mut self, in_outage: bool) -> Fate {
        let failing = if in_outage { 7 } else { 1 };
        if self.below(10) < failing {
            self.of(&[Fate::ResponseLost, Fate::Lost, Fate::Busy, Fate::Late])
        } else {
            Fate::Served
        }
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// The events of a run, printed when it fails.
struct Log {
    seed: u64,
    lines: Vec<String>,
}

impl Drop for Log {
    fn drop(&mut self) {
        if thread::panicking() {
            let lines = self.lines.join("\n  ");
            eprintln!("HO_PROOF_SEED={} fails after:\n  {lines}", self.seed);
        }
    }
}

struct Running {
    actor: usize,
    response: JoinHandle<Response>,
    /// The pause that stood when it began, if it is a claim or a submit.
    begun_under: Option<u64>,
    /// Whether a standing grant was given before it began.
    begun_with_grant: bool,
}

/// The result of running one seed.
#[derive(Default)]
struct SeedResult {
    fingerprint: u64,
    events: u64,
    writes: u64,
    faults: u64,
    crashes: u64,
    /// Crashes of a process that had answered, and was still at work: sending the emails of a vote.
    late_crashes: u64,
    pauses: u64,
    /// Responses with status 503: the outcome is unknown.
    unavailable: u64,
    /// The final status of each request.
    ends: Vec<String>,
    /// What was seen of the votes, under a policy.
    votes: Option<quorum::Figures>,
    /// The requests that a standing grant approved, where one is given.
    grant_uses: Option<u64>,
}

struct Simulation<'a> {
    settings: &'a Settings,
    service: Arc<Service>,
    /// A process that only reads, without faults.
    observer: Arc<App>,
    millis: Arc<AtomicI64>,
    skews: [i64; 3],
    random: Random,
    actors: Vec<Actor>,
    calls: BTreeMap<usize, Running>,
    next_call: usize,
    /// The number of the pause that stands, counted from 1.
    paused: Option<u64>,
    pauses: u64,
    ledger: Ledger,
    grants: SeenGrants,
    seen: u64,
    log: Log,
    result: SeedResult,
}

impl<'a> Simulation<'a> {
    fn new(seed: u64, settings: &'a Settings) -> Self {
        let mut random = Random(seed);
        let actors = match settings.scene {
            Scene::Named => new_actors(&mut random, false),
            Scene::Votes => new_actors(&mut random, true),
            Scene::Bounces => delivery::new_actors(&mut random),
            Scene::Grants(uses) => grants::new_actors(&mut random, uses),
        };
        let mut skew = || random.of(&[0, 0, 0, 0, 1_000, -1_000, 29_000, -31_000]);
        let skews = [skew(), skew(), skew()];
        let service = Arc::new(Service::default());
        let start = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
        let millis = Arc::new(AtomicI64::new(start.unix_millis()));
        let observer = Arc::new(settings.gate(&service, None, &millis, 0));
        let mut simulation = Self {
            settings,
            observer,
            millis,
            skews,
            random,
            actors,
            calls: BTreeMap::new(),
            next_call: 0,
            paused: None,
            pauses: 0,
            ledger: Ledger::new(settings.scene == Scene::Votes),
            grants: SeenGrants::new(settings.scene),
            seen: 0,
            log: Log {
                seed,
                lines: Vec::new(),
            },
            result: SeedResult::default(),
            service,
        };
        simulation.log(format!("skews {skews:?}"));
        simulation
    }

    fn log(&mut self, line: String) {
        let mut hasher = DefaultHasher::new();
        (self.result.fingerprint, &line).hash(&mut hasher);
        self.result.fingerprint = hasher.finish();
        self.log.lines.push(line);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.millis.load(Ordering::SeqCst)).unwrap()
    }

    /// The process of the gate that serves this call.
    fn gate(&self, caller: usize) -> App {
        let skew = self.skews[caller % self.skews.len()];
        self.settings
            .gate(&self.service, Some(caller), &self.millis, skew)
    }

    /// Runs every task until it waits for the service or for time to pass.
    async fn settle(&mut self) {
        for _ in 0..12 {
            tokio::task::yield_now().await;
        }
        let ended: Vec<usize> = self
            .calls
            .iter()
            .filter(|(_, running)| running.response.is_finished())
            .map(|(call, _)| *call)
            .collect();
        for call in ended {
            let Running {
                actor,
                response,
                begun_under,
                begun_with_grant,
            } = self.calls.remove(&call).unwrap();
            let response = response.await.unwrap();
            if begun_under.is_some() && begun_under == self.paused {
                assert!(response.status >= 400, "{call} is granted {WHILE_PAUSED}");
            }
            self.log(format!(
                "{call} {:?} receives {}",
                self.actors[actor], response.status
            ));
            self.result.unavailable += u64::from(response.status == 503);
            if let Some(fact) = self.actors[actor].handle(&response, &mut self.random) {
                self.grants.add(&fact, begun_with_grant);
                self.ledger.add(self.actors[actor].request(), fact);
                self.check_rows().await;
            }
        }
    }

    /// Checks every row against all responses about it.
    async fn check_rows(&mut self) {
        self.ledger.check(&self.observer.store).await;
        if let Scene::Grants(_) = self.settings.scene {
            let uses = self.grants.check(&self.observer.store).await;
            self.result.grant_uses = Some(uses);
        }
    }

    /// Checks that the people of the open stage have their email, and those of a later one have none. Returns the
    /// emails of a second attempt.
    async fn check_mails(&mut self) -> u64 {
        let Ok(row) = self.observer.store.get(&actor::id(0)).await else {
            return 0;
        };
        let mails = mails(&self.settings.mail_folder);
        quorum::check_mails(&row.approval, &mails, self.now())
    }

    async fn pass(&mut self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.millis.fetch_add(millis, Ordering::SeqCst);
        self.log(format!("{} s pass", time.as_secs()));
        tokio::time::advance(time).await;
        self.settle().await;
    }

    /// An idle actor makes its next call or runs the action.
    async fn act(&mut self, actor: usize) {
        if let Some(fact) = self.actors[actor].act_between_calls(&mut self.random) {
            self.log(format!("{:?} runs the action", self.actors[actor]));
            self.ledger.add(self.actors[actor].request(), fact);
            self.check_rows().await;
            return;
        }
        let submits = self.actors[actor].submits();
        let number = self.actors[actor].request();
        if submits && self.grants.waits(number, &mut self.random) {
            return;
        }
        let next = self.actors[actor].next(&self.observer, &mut self.random);
        let Some(request) = next.await else {
            return;
        };
        let call = self.next_call;
        self.next_call += 1;
        self.log(format!("{call} {:?}: {}", self.actors[actor], request.path));
        let is_paused = ["/api/claim/", "/api/submit"]
            .iter()
            .any(|path| request.path.starts_with(path));
        let is_claim = request.path.starts_with("/api/claim/");
        let begun_under = self.paused.filter(|_| is_paused);
        let response = tokio::spawn(request.send(self.gate(call)));
        if submits {
            self.grants.submit(number);
        }
        if is_claim {
            self.grants.claim(number);
        }
        let running = Running {
            actor,
            response,
            begun_under,
            begun_with_grant: self.grants.is_given(),
        };
        self.calls.insert(call, running);
        self.settle().await;
    }

    async fn serve(&mut self, fate: Fate) {
        let index = self.random.below(self.service.waiting());
        let line = self.service.serve(index, fate, self.now());
        self.log(line);
        self.result.faults += u64::from(fate != Fate::Served);
        if self.service.version() != self.seen {
            self.seen = self.service.version();
            self.result.writes += 1;
            let unindexed = self.service.unindexed();
            assert_eq!(unindexed, None, "{}", due_index::LEADS_TO_EACH_ROW);
            self.check_rows().await;
        }
        self.settle().await;
    }

    /// The process that serves a call crashes, or one that has answered and is still at work.
    async fn crash(&mut self, call: usize) {
        self.log(format!("{call} crashes"));
        self.service.kill(call);
        let Some(Running {
            actor, response, ..
        }) = self.calls.remove(&call)
        else {
            self.result.late_crashes += 1;
            return;
        };
        response.abort();
        self.actors[actor].handle(&Response::lost(), &mut self.random);
        self.result.crashes += 1;
        self.settle().await;
    }

    /// Under a policy, the processes that have answered and are still at work: some send the emails of a stage.
    fn lingering(&self) -> Vec<usize> {
        let callers = self.service.callers().into_iter();
        let callers =
            callers.filter(|_| !matches!(self.settings.scene, Scene::Named | Scene::Bounces));
        let lingering = callers.filter(|caller| !self.calls.contains_key(caller));
        lingering.collect()
    }

    /// The operator pauses, or resumes.
    async fn pause_or_resume(&mut self) {
        if self.paused.take().is_some() {
            self.log("resumed".to_owned());
            assert!(self.observer.resume(&PauseScope::All).await.unwrap());
            return;
        }
        let pause = Pause::new(PauseScope::All, Some("a test"), self.now());
        self.observer.pause(pause.unwrap()).await.unwrap();
        self.grants.pause();
        self.log("paused".to_owned());
        self.pauses += 1;
        self.paused = Some(self.pauses);
        self.result.pauses += 1;
    }

    fn idle(&self) -> Vec<usize> {
        let is_busy = |actor: &usize| self.calls.values().any(|call| call.actor == *actor);
        (0..self.actors.len())
            .filter(|actor| !is_busy(actor) && !self.actors[*actor].is_done())
            .collect()
    }

    async fn run(mut self) -> SeedResult {
        let mut in_outage = false;
        let rounds = if self.grants.are_expected() { 2 } else { 1 };
        for _ in 0..rounds * EVENTS {
            self.result.events += 1;
            in_outage ^= self.random.one_in(15);
            let idle = self.idle();
            match self.random.below(100) {
                0..=2 if !self.calls.is_empty() => {
                    let calls: Vec<usize> = self.calls.keys().copied().collect();
                    let call = self.random.of(&calls);
                    self.crash(call).await;
                }
                3..=10 => self.pass(STEP).await,
                11 => self.pass(WITHIN / 2).await,
                12..=69 if self.service.waiting() > 0 => {
                    let fate = self.random.fate(in_outage);
                    self.serve(fate).await;
                }
                70 | 71 => self.pause_or_resume().await,
                72..=81 if !self.lingering().is_empty() => {
                    let lingering = self.lingering();
                    let call = self.random.of(&lingering);
                    self.crash(call).await;
                }
                _ if !idle.is_empty() => {
                    let actor = self.random.of(&idle);
                    self.act(actor).await;
                }
                _ => self.pass(STEP).await,
            }
        }
        self.end().await
    }

    /// Ends the faults: every pending call gets its response, and the sweep ends every request.
    async fn end(mut self) -> SeedResult {
        self.log("no more faults".to_owned());
        if self.paused.is_some() {
            self.pause_or_resume().await;
        }
        self.calm().await;
        let sweeper = self.actors.len() - 1;
        let mut emails_by_the_sweep = 0;
        if self.settings.scene == Scene::Votes {
            // What a crashed process was to send is sent when its lease ends, by the slowest clock.
            for _ in 0..2 {
                self.pass(WITHIN + Duration::from_secs(2)).await;
                self.act(sweeper).await;
                self.calm().await;
            }
            emails_by_the_sweep = self.check_mails().await;
        }
        // A vote that others overtook is sent again.
        let turns = if self.settings.scene == Scene::Votes {
            6
        } else {
            4
        };
        for _ in 0..turns {
            for actor in self.idle() {
                self.act(actor).await;
            }
            self.calm().await;
        }
        // A request that is approved just before its deadline is due three times, and an orphaned entry
        // of a lost write stays in the index for a quarter of an hour.
        for _ in 0..24 {
            self.pass(self.settings.within + Duration::from_secs(62))
                .await;
            self.act(sweeper).await;
            self.calm().await;
        }
        assert_eq!(
            self.service.count("openapprovals"),
            1,
            "no index entry is left but the marker"
        );
        let ends = self.ledger.ends(&self.observer.store, self.settings.within);
        self.result.ends = ends.await;
        self.result.votes = self.ledger.figures(emails_by_the_sweep);
        self.result
    }

    async fn calm(&mut self) {
        for _ in 0..10_000 {
            if self.service.waiting() > 0 {
                self.serve(Fate::Served).await;
            } else if self.calls.is_empty() {
                return;
            } else {
                self.pass(STEP).await;
            }
        }
        panic!("a call never gets a response");
    }
}

/// Runs with one seed.
fn run(seed: u64, settings: &Settings) -> SeedResult {
    run_with(seed, settings, |_| {})
}

/// The same on a service that was changed.
fn run_with(seed: u64, settings: &Settings, change: impl FnOnce(&Service)) -> SeedResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let simulation = Simulation::new(seed, settings);
    change(&simulation.service);
    runtime.block_on(simulation.run())
}

/// Runs each seed, several in parallel, each with its own folder for emails.
fn run_all(seeds: &[u64], settings: impl Fn(&Path) -> Settings + Sync) -> Vec<SeedResult> {
    let next = AtomicUsize::new(0);
    let run_next = || {
        let seeds = std::iter::from_fn(|| seeds.get(next.fetch_add(1, Ordering::SeqCst)));
        let run_one = |&seed: &u64| {
            let dir = tempfile::tempdir().unwrap();
            run(seed, &settings(dir.path()))
        };
        seeds.map(run_one).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().unwrap().get();
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_next)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.flatten().collect()
    })
}

/// The seeds of a test: one to replay, or else this number from 0 on.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("HO_PROOF_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..count).collect(),
    }
}

/// What the seeds counted together; also how often requests ended in each way.
fn sums(seeds: &[u64], results: &[SeedResult]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::from([
        ("seeds".to_owned(), seeds.len() as u64),
        ("first seed".to_owned(), seeds[0]),
    ]);
    for result in results {
        let counts = [
            ("events", result.events),
            ("writes", result.writes),
            ("faults", result.faults),
            ("crashes", result.crashes),
            ("crashes after the answer", result.late_crashes),
            ("pauses", result.pauses),
            ("unsure answers", result.unavailable),
        ];
        let votes = result.votes.into_iter().flat_map(quorum::Figures::counts);
        let uses = result.grant_uses.map(|uses| ("uses of grants", uses));
        for (name, count) in counts.into_iter().chain(votes).chain(uses) {
            *sums.entry(name.to_owned()).or_default() += count;
        }
        for end in &result.ends {
            *sums.entry(end.clone()).or_default() += 1;
        }
    }
    sums
}

fn record_sums(name: &str, sums: &BTreeMap<String, u64>) {
    let figures: Vec<_> = sums
        .iter()
        .map(|(name, sum)| (name.as_str(), *sum))
        .collect();
    record(name, &figures);
}

#[test]
fn responses_stay_true_under_every_fault() {
    let seeds = seeds(cases(100, 5_000));
    let results = run_all(&seeds, |dir| Settings::new(dir, WITHIN.as_secs()));
    let ends = sums(&seeds, &results);
    record_sums("simulation", &ends);
    if seeds.len() > 1 {
        for end in [
            "Executed",
            "ExecutionUnknown",
            "Lapsed",
            "Revoked",
            "Rejected",
            "Timeout",
            "Cancelled",
        ] {
            assert!(
                ends.contains_key(end),
                "no request ended as {end}: {ends:?}"
            );
        }
    }
}

#[test]
fn a_gate_that_does_not_see_the_pause_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(dir.path(), WITHIN.as_secs());
    let found = (0..100).find_map(|seed| {
        let run = || run_with(seed, &settings, Service::hide_standing_rows);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err()?;
        panic.downcast_ref::<String>().cloned()
    });
    let found = found.expect("no seed finds it");
    assert!(found.contains(WHILE_PAUSED), "{found}");
}

#[test]
fn a_seed_replays_identically() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(dir.path(), WITHIN.as_secs());
    for seed in 0..10 {
        let fingerprints = [0, 1].map(|_| run(seed, &settings).fingerprint);
        assert_eq!(fingerprints[0], fingerprints[1], "HO_PROOF_SEED={seed}");
    }
}
