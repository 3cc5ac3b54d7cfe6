//! A proxy that breaks what goes through it, one request at a time, as a test asks.
//!
//! It reads HTTP/1.1 as far as tables need it: bodies with a length or in chunks, no HEAD. Every
//! request goes on over a connection of its own, so that only the client's side is kept alive.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::azurite::{Table, azurite, fresh_table};
use crate::deadline::{TestDeadline, within};

/// Stands before a server on this machine until the test ends.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _deadline: TestDeadline,
}

/// What becomes of a request.
pub(crate) enum Fault {
    /// It does not get through; its connection is closed.
    CutBefore,
    /// It gets through; its connection is closed without an answer.
    CutAfter,
    /// It does not get through, and nobody ever says so.
    Silence,
    /// It gets through, and nobody ever says so.
    SilenceAfter,
    /// It does not get through: this is answered.
    Answer {
        status: u16,
        retry_after: Option<u64>,
        body: &'static str,
    },
    /// It gets through, but this is answered.
    AnswerAfter { status: u16 },
    /// It gets through; its answer breaks off in the middle of the body.
    Truncate,
    /// It gets through; its answer comes without these headers.
    Without(&'static [&'static str]),
    /// It gets through after a while, even when its client has given up.
    Delay(Duration),
    /// It gets through when there is a permit, which it uses up, even when its client has given up.
    Hold(Arc<Semaphore>),
}

impl Proxy {
    /// Before what listens on `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::new(Shared {
                target: port,
                down: watch::Sender::new(false),
                seen: Mutex::default(),
            }),
            _deadline: TestDeadline::start(),
        };
        tokio::spawn(Arc::clone(&proxy.shared).listen(listener));
        proxy
    }

    /// The next request whose `METHOD /path?query` is `matching` meets this fault, once. Several wait
    /// in line.
    pub(crate) fn fault(
        &self,
        matching: impl Fn(&str) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.faults.push_back((Box::new(matching), fault));
    }

    /// Every request so far, as `METHOD /path?query`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.heads().iter().map(|head| request_of(head)).collect()
    }

    /// The heads of these requests, as they were sent.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().heads.clone()
    }

    /// Whether every fault so far was met.
    pub(crate) fn is_used_up(&self) -> bool {
        self.shared.seen.lock().unwrap().faults.is_empty()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.shared.seen.lock().unwrap().heads.clear();
    }

    /// How many connections it has accepted, those that it closed at once included.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen.lock().unwrap().connections
    }

    /// While it is down, every connection is closed at once. Those that are open are cut.
    pub(crate) fn down(&self, yes: bool) {
        self.shared
            .down
            .send_if_modified(|down| std::mem::replace(down, yes) != yes);
    }
}

/// What the proxy's connections share.
struct Shared {
    target: u16,
    down: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    heads: Vec<String>,
    faults: VecDeque<(Matching, Fault)>,
}

type Matching = Box<dyn Fn(&str) -> bool + Send + Sync>;

impl Shared {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            self.seen.lock().unwrap().connections += 1;
            let mut down = self.down.subscribe();
            if *down.borrow_and_update() {
                continue;
            }
            let shared = Arc::clone(&self);
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = down.changed() => {}
                    _ = shared.serve(BufReader::new(client)) => {}
                }
            });
        }
    }

    /// Hands on one request after the other, until the connection is to be closed.
    async fn serve(&self, mut client: BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let request = Message::read(&mut client).await?;
            let fault = self.meet(&request);
            match &fault {
                Some(Fault::CutBefore) => return Ok(()),
                Some(Fault::Silence) => std::future::pending().await,
                Some(Fault::Delay(time)) => sleep(*time).await,
                Some(Fault::Hold(permits)) => permits.acquire().await.unwrap().forget(),
                &Some(Fault::Answer {
                    status,
                    retry_after,
                    body,
                }) => {
                    let answer = Message::answer(status, retry_after, body);
                    answer.write(&mut client).await?;
                    continue;
                }
                _ => {}
            }
            let mut server = BufReader::new(TcpStream::connect(("127.0.0.1", self.target)).await?);
            request.write(&mut server).await?;
            let mut answer = Message::read(&mut server).await?;
            match fault {
                Some(Fault::CutAfter) => return Ok(()),
                Some(Fault::SilenceAfter) => std::future::pending().await,
                Some(Fault::AnswerAfter { status }) => answer = Message::answer(status, None, ""),
                Some(Fault::Without(names)) => answer.remove(names),
                Some(Fault::Truncate) => {
                    answer.body.truncate(answer.body.len() / 2);
                    return answer.write(&mut client).await;
                }
                _ => {}
            }
            answer.write(&mut client).await?;
        }
    }

    /// Notes the request, and takes the fault that waits for it.
    fn meet(&self, request: &Message) -> Option<Fault> {
        let mut seen = self.seen.lock().unwrap();
        let line = request_of(&request.head);
        seen.heads.push(request.head.clone());
        let waiting = seen
            .faults
            .iter()
            .position(|(matching, _)| matching(&line))?;
        seen.faults.remove(waiting).map(|(_, fault)| fault)
    }
}

/// `METHOD /path?query`, from the first line of a head.
fn request_of(head: &str) -> String {
    let (line, _) = head.split_once(" HTTP/1.1\r\n").unwrap_or_default();
    line.to_owned()
}

/// A request or an answer, read to its end.
struct Message {
    /// The first line and the headers, each with its line's end.
    head: String,
    body: Vec<u8>,
}

impl Message {
    fn answer(status: u16, retry_after: Option<u64>, body: &str) -> Self {
        let retry_after = retry_after.map_or_else(String::new, |s| format!("retry-after: {s}\r\n"));
        Self {
            head: format!(
                "HTTP/1.1 {status} \r\n{retry_after}content-type: application/json\r\n\
                 content-length: {}\r\n",
                body.len()
            ),
            body: body.into(),
        }
    }

    async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        head.truncate(head.len() - 2);
        let mut message = Self {
            head,
            body: Vec::new(),
        };
        if message.header("transfer-encoding").is_some() {
            while message.read_chunk(from).await? {}
            // It goes on in one piece.
            message.remove(&["transfer-encoding"]);
            let length = format!("content-length: {}\r\n", message.body.len());
            message.head.push_str(&length);
        } else if let Some(length) = message.header("content-length") {
            message.body = vec![0; length.parse().unwrap()];
            from.read_exact(&mut message.body).await?;
        }
        Ok(message)
    }

    /// False after the last chunk.
    async fn read_chunk(&mut self, from: &mut BufReader<TcpStream>) -> io::Result<bool> {
        let mut size = String::new();
        from.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
        let start = self.body.len();
        self.body.resize(start + size + "\r\n".len(), 0);
        from.read_exact(&mut self.body[start..]).await?;
        self.body.truncate(start + size);
        Ok(size > 0)
    }

    async fn write(&self, to: &mut BufReader<TcpStream>) -> io::Result<()> {
        let bytes = [self.head.as_bytes(), b"\r\n", &self.body].concat();
        to.write_all(&bytes).await
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }

    fn remove(&mut self, names: &[&str]) {
        let stays = |line: &&str| {
            let (header, _) = line.split_once(':').unwrap_or_default();
            !names.iter().any(|name| name.eq_ignore_ascii_case(header))
        };
        self.head = self.head.split_inclusive("\r\n").filter(stays).collect();
    }
}

/// A proxy before a server that says what it was told, and how many had told it something by then.
async fn counted() -> (Proxy, watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (met, count) = watch::channel(0);
    let answer = async |State(met): State<watch::Sender<u32>>, told: String| {
        met.send_modify(|count| *count += 1);
        (
            [("etag", "one"), ("x-other", "two")],
            format!("{told} {}", *met.borrow()),
        )
    };
    let server = axum::Router::new().fallback(answer).with_state(met);
    tokio::spawn(async move { axum::serve(listener, server).await });
    (Proxy::before(port).await, count)
}

async fn connect(proxy: &Proxy) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap())
}

async fn tell(connection: &mut BufReader<TcpStream>, path: &str) -> io::Result<Message> {
    let request = Message {
        head: format!("POST {path} HTTP/1.1\r\nhost: proxy\r\ncontent-length: 4\r\n"),
        body: b"told".into(),
    };
    request.write(connection).await?;
    Message::read(connection).await
}

fn any(_: &str) -> bool {
    true
}

#[tokio::test]
async fn what_meets_no_fault_goes_through() {
    let proxy = Proxy::before(azurite().port).await;
    let name = fresh_table();
    let table = Table::of(proxy.port, &name);
    table.create().await;
    table
        .put(&json!({"PartitionKey": "p", "RowKey": "r"}))
        .await;
    assert_eq!(table.rows().await[0]["RowKey"], "r");
    let row = format!("/devstoreaccount1/{name}(PartitionKey='p',RowKey='r')");
    let requests = proxy.requests();
    assert_eq!(
        requests[0].split('?').next(),
        Some("POST /devstoreaccount1/Tables")
    );
    assert_eq!(
        requests[1].split('?').next(),
        Some(format!("PUT {row}").as_str())
    );
    assert!(proxy.heads()[1].contains("\r\nauthorization: SharedKeyLite devstoreaccount1:"));
    proxy.forget();
    assert_eq!(proxy.requests(), [""; 0]);
}

#[tokio::test]
async fn a_connection_is_kept() {
    let (proxy, _) = counted().await;
    let mut connection = connect(&proxy).await;
    assert_eq!(
        tell(&mut connection, "/a?b=c").await.unwrap().body,
        b"told 1"
    );
    assert_eq!(tell(&mut connection, "/d").await.unwrap().body, b"told 2");
    assert_eq!(proxy.requests(), ["POST /a?b=c", "POST /d"]);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_cut_is_before_or_after_the_request_gets_through() {
    let (proxy, count) = counted().await;
    for (fault, through) in [(Fault::CutBefore, 0), (Fault::CutAfter, 1)] {
        proxy.fault(any, fault);
        let cut = tell(&mut connect(&proxy).await, "/").await;
        assert_eq!(cut.err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(*count.borrow(), through);
    }
}

#[tokio::test]
async fn silence_is_before_or_after_the_request_gets_through() {
    let (proxy, mut count) = counted().await;
    let short = Duration::from_millis(50);
    for (fault, through) in [(Fault::Silence, 0), (Fault::SilenceAfter, 1)] {
        proxy.fault(any, fault);
        let mut connection = connect(&proxy).await;
        assert!(timeout(short, tell(&mut connection, "/")).await.is_err());
        let count = within(count.wait_for(|count| *count >= through));
        let count = count.await.unwrap();
        assert_eq!(*count, through);
    }
}

#[tokio::test]
async fn an_answer_can_be_another_or_less() {
    let (proxy, count) = counted().await;
    let mut connection = connect(&proxy).await;
    proxy.fault(
        any,
        Fault::Answer {
            status: 503,
            retry_after: Some(7),
            body: "{}",
        },
    );
    let answer = tell(&mut connection, "/").await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 503 "));
    assert_eq!(answer.header("Retry-After"), Some("7"));
    assert_eq!(answer.body, b"{}");
    assert_eq!(*count.borrow(), 0);

    proxy.fault(any, Fault::AnswerAfter { status: 500 });
    let answer = tell(&mut connection, "/").await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 500 "));
    assert_eq!(answer.body, b"");
    assert_eq!(*count.borrow(), 1);

    proxy.fault(any, Fault::Without(&["ETag"]));
    let answer = tell(&mut connection, "/").await.unwrap();
    assert_eq!(answer.header("etag"), None);
    assert_eq!(answer.header("x-other"), Some("two"));
    assert_eq!(answer.body, b"told 2");

    proxy.fault(any, Fault::Truncate);
    let cut = tell(&mut connection, "/").await;
    assert_eq!(cut.err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(*count.borrow(), 3);
}

#[tokio::test]
async fn a_request_can_be_late() {
    let (proxy, _) = counted().await;
    let time = Duration::from_millis(30);
    let start = Instant::now();
    proxy.fault(any, Fault::Delay(time));
    assert_eq!(
        tell(&mut connect(&proxy).await, "/").await.unwrap().body,
        b"told 1"
    );
    assert!(start.elapsed() >= time);

    let permits = Arc::new(Semaphore::new(0));
    proxy.fault(
        |request| request == "POST /held",
        Fault::Hold(permits.clone()),
    );
    let mut connection = connect(&proxy).await;
    let held = tokio::spawn(async move { tell(&mut connection, "/held").await });
    assert_eq!(
        tell(&mut connect(&proxy).await, "/").await.unwrap().body,
        b"told 2"
    );
    permits.add_permits(1);
    assert_eq!(within(held).await.unwrap().unwrap().body, b"told 3");
    assert_eq!(permits.available_permits(), 0);
}

#[tokio::test]
async fn faults_wait_in_line_for_the_requests_that_they_are_for() {
    let (proxy, _) = counted().await;
    for status in [500, 503] {
        proxy.fault(
            |request| request.ends_with("/bad"),
            Fault::AnswerAfter { status },
        );
    }
    let mut connection = connect(&proxy).await;
    for (path, status) in [
        ("/", "200"),
        ("/bad", "500"),
        ("/", "200"),
        ("/bad", "503"),
        ("/bad", "200"),
    ] {
        let answer = tell(&mut connection, path).await.unwrap();
        assert_eq!(answer.head[9..12], *status);
    }
}

#[tokio::test]
async fn while_it_is_down_nobody_gets_through() {
    let (proxy, count) = counted().await;
    let mut open = connect(&proxy).await;
    tell(&mut open, "/").await.unwrap();
    proxy.down(true);
    assert!(tell(&mut open, "/").await.is_err());
    assert!(tell(&mut connect(&proxy).await, "/").await.is_err());
    proxy.down(false);
    assert!(tell(&mut open, "/").await.is_err());
    tell(&mut connect(&proxy).await, "/").await.unwrap();
    assert_eq!(*count.borrow(), 2);
    assert_eq!(proxy.connections(), 3);
}
