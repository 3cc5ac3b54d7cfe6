//! A way to the gate on which claims wait until a test lets them pass, or a front answers a call in the gate's place.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) struct Relay {
    pub(crate) url: String,
    claims: Receiver<()>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    front: Arc<Mutex<Option<&'static str>>>,
}

impl Relay {
    /// Claims pass at once.
    pub(crate) fn open_to(gate_url: &str) -> Self {
        let relay = Self::before_claims(gate_url);
        relay.open();
        relay
    }

    pub(crate) fn before_claims(gate_url: &str) -> Self {
        Self::before("/claim/", gate_url)
    }

    /// Calls whose path has this part wait.
    pub(crate) fn before(part: &'static str, gate_url: &str) -> Self {
        let host = gate_url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, claims) = channel();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let opened = gate.clone();
        let front = Arc::<Mutex<Option<&'static str>>>::default();
        let page_for = front.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let gate = TcpStream::connect(&host).unwrap();
                pipe(
                    gate.try_clone().unwrap(),
                    client.try_clone().unwrap(),
                    |_| true,
                );
                let (sender, opened) = (sender.clone(), opened.clone());
                let (page_for, caller) = (page_for.clone(), client.try_clone().unwrap());
                pipe(client, gate, move |bytes| {
                    wait(bytes, part, &sender, &opened);
                    !is_answered(bytes, &page_for, &caller)
                });
            }
        });
        Self {
            url,
            claims,
            gate,
            front,
        }
    }

    /// The next call whose path has this part is answered with a page that is no gate's.
    pub(crate) fn answer_next(&self, part: &'static str) {
        *self.front.lock().unwrap() = Some(part);
    }

    /// Whether that call has come.
    pub(crate) fn has_answered(&self) -> bool {
        self.front.lock().unwrap().is_none()
    }

    /// Waits until a claim is on its way, or what else waits.
    pub(crate) fn await_claim(&self) {
        let patience = Duration::from_secs(30);
        self.claims.recv_timeout(patience).expect("a claim");
    }

    pub(crate) fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }
}

/// A request is sent in one piece, or its head is.
fn wait(bytes: &[u8], part: &str, claims: &Sender<()>, gate: &(Mutex<bool>, Condvar)) {
    if String::from_utf8_lossy(bytes).contains(part) {
        claims.send(()).ok();
        let is_open = gate.0.lock().unwrap();
        drop(gate.1.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

fn is_answered(bytes: &[u8], front: &Mutex<Option<&'static str>>, mut caller: &TcpStream) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut front = front.lock().unwrap();
    if front.take_if(|part| text.contains(*part)).is_none() {
        return false;
    }
    let page = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nconnection: close\r\n\r\nNone";
    caller.write_all(page.as_bytes()).unwrap();
    true
}

/// Passes on what comes, as long as `before` says so.
fn pipe(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8]) -> bool + Send + 'static) {
    thread::spawn(move || {
        let mut bytes = [0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if !before(&bytes[..length]) {
                break;
            }
            if to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
}
