use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// Sends a request to a server that answers with these bytes and closes the connection.
fn answered(method: &str, wire: &'static [u8]) -> Result<HttpResponse> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read(&mut [0; 4096]).unwrap();
        assert!(read > 0);
        stream.write_all(wire).unwrap();
    });
    let response = send(server, &HttpRequest::new(method, "/"));
    thread.join().unwrap();
    response
}

#[test]
fn send_chunked_response_joins_the_chunks() {
    let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    assert_eq!(answered("GET", wire).unwrap().text(), "abcde");
}

#[test]
fn send_truncated_body_is_an_error() {
    assert!(answered("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").is_err());
}

#[test]
fn send_head_returns_length_without_body() {
    let response = answered("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").unwrap();
    assert_eq!((response.get("content-length"), response.body.len()), (Some("10"), 0));
}

#[test]
fn send_interim_response_is_skipped() {
    let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answered("GET", wire).unwrap().status, 404);
}

#[test]
fn send_inside_a_runtime_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wire = b"HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(runtime.block_on(async { answered("GET", wire) }).unwrap().status, 204);
}
