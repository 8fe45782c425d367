//! `Responder`.

use serde_json::json;

use app::lifecycle::ports::Responder;
use app::lifecycle::{RequestAnswer, RequestEnvelope, ResponseUrl};
use app::ports::{PortErrorKind, Result};
use aws::SignedUrlResponder;
use testkit::world::World;

use crate::server::{Reply, SECRET, Server};

fn envelope(url: &str) -> RequestEnvelope {
    RequestEnvelope {
        response_url: ResponseUrl::from(url),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1".to_owned(),
        request_id: "r-1".to_owned(),
        logical_resource_id: "Rollout".to_owned(),
        physical_resource_id: "rollout".to_owned(),
    }
}

async fn put(responder: &impl Responder, url: &str, reason: Option<&str>) -> Result<()> {
    let envelope = envelope(url);
    let answer = match reason {
        None => RequestAnswer::success(&envelope),
        Some(reason) => RequestAnswer::failure(&envelope, reason),
    };
    responder.answer(&answer).await
}

#[tokio::test]
async fn response_arrives() {
    let world = World::new();
    put(&world, "https://example.com", None).await.unwrap();
    assert_eq!(world.state().answers.len(), 1);

    let server = Server::start(&[]);
    put(&SignedUrlResponder::default(), &server.signed_url(), Some("ümlaut \"quoted\"\n")).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 1);
    let request = &received[0];
    assert_eq!(request.method, "PUT");
    assert_eq!(request.target, format!("/stack%7CRollout?X-Amz-Credential=EXAMPLE&X-Amz-Signature={SECRET}"));
    // Signed for an empty content type: S3 rejects any other, and a body of unknown length.
    assert_eq!(request.header("content-type"), Some(""));
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
    let expected = json!({
        "Status": "FAILED", "Reason": "ümlaut \"quoted\"\n", "PhysicalResourceId": "rollout", "RequestId": "r-1",
        "LogicalResourceId": "Rollout", "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1",
    });
    assert_eq!(request.json(), expected);
}

fn status(status: u16) -> Reply {
    Reply::Status(status, "<Error><Code>SlowDown</Code><Message>later</Message></Error>".to_owned())
}

#[tokio::test]
async fn transient_errors_are_retried() {
    let responder = SignedUrlResponder::default();
    let cases: [(&str, &[Reply]); 3] = [
        ("unwell once", &[status(500), status(200)]),
        ("unwell twice", &[status(503), status(503), status(200)]),
        ("a broken connection", &[Reply::Break, status(200)]),
    ];
    for (case, replies) in cases {
        let server = Server::start(replies);
        put(&responder, &server.signed_url(), None).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(server.received().len(), replies.len(), "{case}");
    }
}

#[tokio::test]
async fn permanent_errors_hide_the_address() {
    let responder = SignedUrlResponder::default();
    let cases: [(&str, &[Reply], PortErrorKind, usize, &str); 4] = [
        (
            "expired",
            &[Reply::Status(403, "<Error><Code>AccessDenied</Code></Error>".into())],
            PortErrorKind::Rejected,
            1,
            "403",
        ),
        ("bad", &[Reply::Status(400, String::new())], PortErrorKind::Rejected, 1, "400"),
        ("unwell", &[status(503)], PortErrorKind::Retryable, 3, "SlowDown"),
        ("broken", &[Reply::Break], PortErrorKind::Retryable, 3, "the connection was closed"),
    ];
    for (case, replies, kind, attempts, said) in cases {
        let server = Server::start(replies);
        let error = put(&responder, &server.signed_url(), None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{case}: {error}");
        assert_eq!(server.received().len(), attempts, "{case}");
        let shown = format!("{error} {error:?} {}", error.with_fix());
        assert!(shown.contains(said), "{case}: {shown}");
        assert!(!shown.contains(SECRET) && !shown.contains(&server.address().to_string()), "{case}: {shown}");
    }
    // No server listens, or the address is invalid.
    for (url, kind) in [
        (format!("http://127.0.0.1:1/{SECRET}"), PortErrorKind::Retryable),
        (format!("http://{SECRET} x/"), PortErrorKind::Rejected),
    ] {
        let error = put(&responder, &url, None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}
