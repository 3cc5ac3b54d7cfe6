//! A way to the gate on which claims wait until a test lets them pass.

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
}

impl Relay {
    pub(crate) fn before_claims(gate_url: &str) -> Self {
        let host = gate_url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, claims) = channel();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let opened = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let gate = TcpStream::connect(&host).unwrap();
                pipe(
                    gate.try_clone().unwrap(),
                    client.try_clone().unwrap(),
                    |_| {},
                );
                let (sender, opened) = (sender.clone(), opened.clone());
                pipe(client, gate, move |bytes| wait(bytes, &sender, &opened));
            }
        });
        Self { url, claims, gate }
    }

    /// Waits until a claim is on its way.
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
fn wait(bytes: &[u8], claims: &Sender<()>, gate: &(Mutex<bool>, Condvar)) {
    if String::from_utf8_lossy(bytes).contains("/claim/") {
        claims.send(()).ok();
        let is_open = gate.0.lock().unwrap();
        drop(gate.1.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

fn pipe(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8]) + Send + 'static) {
    thread::spawn(move || {
        let mut bytes = [0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            before(&bytes[..length]);
            if to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
}
