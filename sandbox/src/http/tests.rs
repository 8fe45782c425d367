use super::*;

#[test]
fn a_chunked_body_is_put_together() {
    let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let response = read_response(&mut wire.as_slice(), false).unwrap();
    assert_eq!(response.text(), "abcde");
}

#[test]
fn a_body_cut_short_is_an_error() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    assert!(read_response(&mut wire.as_slice(), false).is_err());
}

#[test]
fn the_answer_to_head_has_a_length_and_no_body() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let response = read_response(&mut wire.as_slice(), true).unwrap();
    assert_eq!((response.get("content-length"), response.body.len()), (Some("10"), 0));
}

#[test]
fn an_interim_response_is_skipped() {
    let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(read_response(&mut wire.as_slice(), false).unwrap().status, 404);
}
