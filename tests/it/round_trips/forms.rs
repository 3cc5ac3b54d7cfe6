//! The longest chain of operations of each form of the page, from its post to its answer.

use reqwest::StatusCode;
use tokio::time::Instant;

use super::{LATENCY, answered, depth};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{ALICE, Page, TestGate, with_forms};
use crate::host::SignIn;
use crate::proxy::Proxy;
use crate::quorum;
use crate::sign_in;

/// A gate on tables with a delay, and the page of a request with its forms.
struct Opened {
    gate: TestGate,
    proxy: Proxy,
    address: String,
    code: String,
    session: Option<String>,
    page: Page,
}

/// Opens the page of a request, of the policy if there is one.
async fn open(settings: &[(&str, &str)]) -> Opened {
    let (gate, proxy) = backing_store::behind_a_proxy(settings).await;
    let is_on = |name| settings.iter().any(|it| it.0 == name);
    gate.sweep().await;
    let approval = if is_on("HO_POLICY") {
        gate.client.submit(&quorum::payment(100)).await.unwrap()
    } else {
        gate.ask().await
    };
    let address = format!("{}/api/decision/{}", gate.url, approval.id);
    let mut opened = if is_on("HO_IDENTITY") {
        let session = SignIn::session(&sign_in::alice());
        let page = sign_in::visit(&gate, &approval.id, &[("cookie", &session)]).await;
        Opened {
            session: Some(session),
            code: String::new(),
            gate,
            proxy,
            address,
            page,
        }
    } else {
        let question = gate.question(&approval, ALICE);
        let page = gate.get(&with_forms(&question.link)).await;
        Opened {
            session: None,
            code: question.code,
            gate,
            proxy,
            address,
            page,
        }
    };
    opened.begin().await;
    opened
}

impl Opened {
    /// Delays operations from now on, once those under way have ended.
    async fn begin(&mut self) {
        self.gate.store.settle().await;
        let is_calm = || self.proxy.spans().iter().all(|it| it.1.is_some());
        eventually(async || is_calm().then_some(())).await;
        self.proxy.clear();
        self.proxy.slow_down(LATENCY);
    }

    /// Sends these hidden fields and others, and returns the longest chain until the answer.
    async fn send(&self, hidden: Vec<(String, String)>, fields: &[(&str, &str)]) -> (Page, usize) {
        let fields = fields.iter().map(|(name, value)| (*name, *value));
        let hidden = hidden.iter().map(|(name, value)| (&**name, &**value));
        let body: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(hidden.chain(fields))
            .finish();
        let mut call = self.gate.http.post(&self.address).body(body);
        call = call.header("content-type", "application/x-www-form-urlencoded");
        call = call.header("origin", &self.gate.url);
        if let Some(session) = &self.session {
            call = call.header("cookie", session);
        }
        let answer = Page::of(call.send().await.unwrap()).await;
        let answered_at = Instant::now();
        (answer, depth(&answered(&self.proxy), answered_at))
    }

    /// The page that a decision leads to.
    async fn page_again(&self) -> Page {
        let hidden = self.page.first_form();
        let (_, link) = hidden.iter().find(|it| it.0 == "k").unwrap();
        let page = format!("{}?k={link}", self.address);
        self.gate.get(&with_forms(&page)).await
    }

    /// Sends the form that decides.
    async fn decide(&self, fields: &[(&str, &str)]) -> usize {
        let (answer, depth) = self.send(self.page.first_form(), fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        depth
    }
}

/// Checks the longest chain. Other work of the machine can only lengthen what is measured, so the shortest of three
/// measurements counts.
async fn assert_depth(expected: usize, measure: impl AsyncFn() -> usize) {
    let mut depths = Vec::new();
    while depths.len() < 3 && !depths.contains(&expected) {
        depths.push(measure().await);
    }
    assert_eq!(depths.iter().min(), Some(&expected), "{depths:?}");
}

const APPROVE: (&str, &str) = ("decision", "approve");
const REJECT: (&str, &str) = ("decision", "reject");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_answered_after_two_round_trips() {
    let by_link = async || {
        let page = open(&[]).await;
        page.decide(&[APPROVE, ("code", &page.code)]).await
    };
    assert_depth(2, by_link).await;
    let signed_in = async || open(&sign_in::ON).await.decide(&[APPROVE]).await;
    assert_depth(2, signed_in).await;
    // The first of three: the request stays pending, and the announced entry goes.
    let vote = async || {
        let page = open(&[("HO_POLICY", quorum::POLICY)]).await;
        let depth = page.decide(&[APPROVE, ("code", &page.code)]).await;
        page.gate.store.settle().await;
        let is_removal = |it: &&String| it.starts_with("DELETE");
        assert_eq!(page.proxy.requests().iter().filter(is_removal).count(), 1);
        depth
    };
    assert_depth(2, vote).await;
}

/// The rejections that are kept of its content are read while the row is written, and written after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_is_answered_after_three_round_trips() {
    assert_depth(3, async || open(&[]).await.decide(&[REJECT]).await).await;
    let with_question = async || {
        let page = open(&[]).await;
        let asks = [
            REJECT,
            ("code", &page.code),
            ("revise", "Only the mailbox?"),
        ];
        page.decide(&asks).await
    };
    assert_depth(3, with_question).await;
    let signed_in = async || open(&sign_in::ON).await.decide(&[REJECT]).await;
    assert_depth(3, signed_in).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_form_takes_more_than_four_round_trips() {
    // It is counted for the request, and then for the person.
    let wrong = open(&[]).await;
    let typed = ["000000", "000001"]
        .into_iter()
        .find(|it| *it != wrong.code);
    let fields = [APPROVE, ("code", typed.unwrap())];
    let (_, depth) = wrong.send(wrong.page.first_form(), &fields).await;
    assert_eq!(depth, 4);

    let list = "alice@example.com,bob@example.com,carol@example.com";
    let handed = open(&[("HO_ALLOWED_APPROVERS", list)]).await;
    let fields = [
        ("decision", "hand-over"),
        ("hand_over", "carol@example.com"),
        ("reason", "On leave"),
        ("code", &handed.code),
    ];
    let hidden = handed.page.form_in("hand-over").unwrap();
    let (answer, depth) = handed.send(hidden, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(depth, 3);

    let mut revoked = open(&[]).await;
    revoked.decide(&[APPROVE, ("code", &revoked.code)]).await;
    revoked.gate.until_kept(1).await;
    let page = revoked.page_again().await;
    revoked.begin().await;
    let fields = [("decision", "revoke"), ("code", revoked.code.as_str())];
    let hidden = page.form_in("revoke").unwrap();
    let (answer, depth) = revoked.send(hidden, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(depth, 2);
}

/// The page of a gate before this one, whose forms have no page token, stays valid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_of_an_earlier_gate_takes_one_operation_after_another() {
    let opened = open(&[]).await;
    let mut hidden = opened.page.first_form();
    hidden.retain(|it| it.0 != "page");
    let fields = [APPROVE, ("code", opened.code.as_str())];
    let (answer, depth) = opened.send(hidden, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(depth, 4);
}
