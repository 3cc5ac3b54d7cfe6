//! A proxy that injects faults into single requests.
//!
//! It implements the part of HTTP/1.1 that Azure Tables uses: bodies with a length or in chunks, no HEAD.
//! Every request is forwarded over a new connection, so only the client's connections are kept alive.

mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::macros::format_description;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use crate::deadline::TestDeadline;

/// Runs in front of a server on this machine until the test ends.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _deadline: TestDeadline,
}

/// A fault of one request.
pub(crate) enum Fault {
    /// It is not forwarded; its connection is closed.
    CutBefore,
    /// It is forwarded; its connection is closed without a response.
    CutAfter,
    /// It is not forwarded, and gets no response.
    Silence,
    /// It is forwarded, and gets no response.
    SilenceAfter,
    /// It is not forwarded, and gets this response.
    Answer {
        status: u16,
        retry_after: Option<u64>,
        body: &'static str,
    },
    /// It is forwarded, and gets this response.
    AnswerAfter { status: u16 },
    /// It is forwarded; its response is cut in the middle of the body, or of the head if it has none.
    Truncate,
    /// It is forwarded; its response lacks these headers.
    Without(&'static [&'static str]),
    /// It is forwarded after a delay, even if its client has closed the connection.
    Delay(Duration),
    /// It is forwarded when the semaphore grants a permit, even if its client has closed the connection.
    Hold(Arc<Semaphore>),
}

impl Proxy {
    /// Starts a proxy in front of `port`.
    pub(crate) async fn start(port: u16) -> Self {
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

    /// Queues a fault for the next request whose `METHOD /path?query` matches.
    pub(crate) fn fault(
        &self,
        matching: impl Fn(&str) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.faults.push_back((Box::new(matching), fault));
    }

    /// The requests so far, as `METHOD /path?query`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.heads().iter().map(|head| request_of(head)).collect()
    }

    /// The heads of these requests, unchanged.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().heads.clone()
    }

    /// The requests so far, as `METHOD /path?query` and body.
    pub(crate) fn bodies(&self) -> Vec<(String, String)> {
        let seen = self.shared.seen.lock().unwrap();
        let requests = seen.heads.iter().map(|head| request_of(head));
        requests.zip(seen.bodies.iter().cloned()).collect()
    }

    /// From now on each request takes at least this long, as over a network: what is sent side by side overlaps.
    pub(crate) fn slow_down(&self, latency: Duration) {
        self.shared.seen.lock().unwrap().latency = latency;
    }

    /// From now on the clock of the server seems to be this many seconds ahead.
    pub(crate) fn shift_clock(&self, seconds: i64) {
        self.shared.seen.lock().unwrap().ahead = seconds;
    }

    /// When each request arrived, and when it was answered, if it was.
    pub(crate) fn spans(&self) -> Vec<(Instant, Option<Instant>)> {
        self.shared.seen.lock().unwrap().spans.clone()
    }

    /// Whether every queued fault was applied.
    pub(crate) fn all_faults_applied(&self) -> bool {
        self.shared.seen.lock().unwrap().faults.is_empty()
    }

    /// Clears the recorded requests.
    pub(crate) fn clear(&self) {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.heads.clear();
        seen.bodies.clear();
        seen.spans.clear();
    }

    /// The number of accepted connections, with those that were closed at once.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen.lock().unwrap().connections
    }

    /// While the proxy is down, open connections are cut and new ones closed.
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
    bodies: Vec<String>,
    /// When each request arrived and was answered.
    spans: Vec<(Instant, Option<Instant>)>,
    /// How long each request takes at least.
    latency: Duration,
    /// The seconds that are added to the date of each response.
    ahead: i64,
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

    /// Forwards the requests of a connection until it is closed.
    async fn serve(&self, mut client: BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let request = Message::read(&mut client).await?;
            let (arrived_at, latency, fault) = self.record(&request);
            sleep(latency).await;
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
                    if answer.body.is_empty() {
                        let half = &answer.head.as_bytes()[..answer.head.len() / 2];
                        return client.write_all(half).await;
                    }
                    answer.body.truncate(answer.body.len() / 2);
                    return answer.write(&mut client).await;
                }
                _ => {}
            }
            let ahead = self.seen.lock().unwrap().ahead;
            if ahead != 0 {
                answer.shift_date(ahead);
            }
            self.record_answer(arrived_at);
            answer.write(&mut client).await?;
        }
    }

    /// Records the request, and removes the first fault that matches it. Also returns when the request arrived, and
    /// the latency.
    fn record(&self, request: &Message) -> (Instant, Duration, Option<Fault>) {
        let mut seen = self.seen.lock().unwrap();
        let arrived_at = Instant::now();
        seen.spans.push((arrived_at, None));
        let line = request_of(&request.head);
        seen.heads.push(request.head.clone());
        let body = String::from_utf8_lossy(&request.body);
        seen.bodies.push(body.into_owned());
        let waiting = seen.faults.iter().position(|(matching, _)| matching(&line));
        let fault = waiting.and_then(|waiting| seen.faults.remove(waiting));
        (arrived_at, seen.latency, fault.map(|(_, fault)| fault))
    }

    fn record_answer(&self, arrived_at: Instant) {
        let mut seen = self.seen.lock().unwrap();
        // Recorded requests may have been cleared meanwhile.
        if let Some(span) = seen.spans.iter_mut().find(|span| span.0 == arrived_at) {
            span.1 = Some(Instant::now());
        }
    }
}

/// `METHOD /path?query` from the first line of a head.
fn request_of(head: &str) -> String {
    let (line, _) = head.split_once(" HTTP/1.1\r\n").unwrap_or_default();
    line.to_owned()
}

/// A complete request or response.
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
            // It is forwarded with a length.
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

    fn shift_date(&mut self, seconds: i64) {
        let date = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        let format = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let date = date.format(format).unwrap();
        self.remove(&["date"]);
        self.head.push_str(&format!("date: {date}\r\n"));
    }

    fn remove(&mut self, names: &[&str]) {
        let is_kept = |line: &&str| {
            let (header, _) = line.split_once(':').unwrap_or_default();
            !names.iter().any(|name| name.eq_ignore_ascii_case(header))
        };
        self.head = self.head.split_inclusive("\r\n").filter(is_kept).collect();
    }
}
