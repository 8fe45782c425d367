//! A small HTTP server with scripted replies that records its requests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// The reply to one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status and a body.
    Status(u16, String),
    /// Status 200 and a body that is not text.
    #[allow(dead_code, reason = "the tests of the reviewers use this file too, and need it")]
    Bytes(Vec<u8>),
    /// A whole response, head and body.
    #[allow(dead_code, reason = "the end-to-end tests use this file too, and need it")]
    Raw(String),
    /// The connection is closed without a response.
    Break,
    /// No response for the duration of the test.
    #[allow(dead_code, reason = "the end-to-end tests use this file too, and need it")]
    Hang,
}

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The server. Its threads end with the process.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Sends these replies in order and repeats the last one; without replies, 200 to all requests.
    pub(crate) fn start(replies: &[Reply]) -> Self {
        let replies = replies.to_vec();
        Self::answering(move |index, _| {
            let reply = replies.get(index).or(replies.last()).cloned();
            reply.unwrap_or(Reply::Status(200, String::new()))
        })
    }

    /// Sends the reply that `answer` returns for the number of earlier requests and the request. Requests are served
    /// in parallel, so that `answer` may wait for another one.
    pub(crate) fn answering(answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let (received, answer) = (Arc::clone(&server.received), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &received, answer.as_ref()));
            }
        });
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address that contains a secret, as a pre-signed URL does.
    pub(crate) fn signed_url(&self) -> String {
        format!("http://{}/stack%7CRollout?X-Amz-Credential=EXAMPLE&X-Amz-Signature={SECRET}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The secret, which must not appear in any log or error.
pub(crate) const SECRET: &str = "c0ffee5ec7e7";

fn serve(
    mut stream: TcpStream,
    received: &Mutex<Vec<Received>>,
    answer: &(dyn Fn(usize, &Received) -> Reply + Send + Sync),
) {
    let Some(request) = read(&stream) else { return };
    let before = {
        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
        received.push(request.clone());
        received.len() - 1
    };
    match answer(before, &request) {
        Reply::Break => {}
        Reply::Hang => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        Reply::Raw(response) => {
            let _ = stream.write_all(response.as_bytes());
        }
        Reply::Status(status, body) => respond(&mut stream, status, body.as_bytes()),
        Reply::Bytes(body) => respond(&mut stream, 200, &body),
    }
}

fn respond(stream: &mut TcpStream, status: u16, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\ncontent-type: application/xml\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that closes the connection early does not need the response.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Received { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
