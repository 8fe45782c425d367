//! `Responder`.

use app::lifecycle::{Answer, Envelope, ResponseUrl};
use app::ports::{PortErrorKind, Responder, Result};
use aws::SignedUrlResponder;
use serde_json::json;
use testkit::world::World;

use crate::server::{Reply, SECRET, Server};

fn envelope(url: &str) -> Envelope {
    Envelope {
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
        None => Answer::success(&envelope),
        Some(reason) => Answer::failure(&envelope, reason),
    };
    app::lifecycle::put(responder, &answer).await
}

#[tokio::test]
async fn an_answer_arrives() {
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
    // Signed for an empty type: S3 refuses any other, and a body of unknown length.
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
async fn what_may_pass_is_tried_again() {
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
async fn what_will_not_pass_is_told_without_the_address() {
    let responder = SignedUrlResponder::default();
    let cases: [(&str, &[Reply], PortErrorKind, usize, &str); 4] = [
        (
            "expired",
            &[Reply::Status(403, "<Error><Code>AccessDenied</Code></Error>".into())],
            PortErrorKind::Refused,
            1,
            "403",
        ),
        ("bad", &[Reply::Status(400, String::new())], PortErrorKind::Refused, 1, "400"),
        ("unwell", &[status(503)], PortErrorKind::Retryable, 3, "SlowDown"),
        ("broken", &[Reply::Break], PortErrorKind::Retryable, 3, "the connection broke"),
    ];
    for (case, replies, kind, attempts, said) in cases {
        let server = Server::start(replies);
        let error = put(&responder, &server.signed_url(), None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{case}: {error}");
        assert_eq!(server.received().len(), attempts, "{case}");
        let shown = format!("{error} {error:?} {}", error.explained());
        assert!(shown.contains(said), "{case}: {shown}");
        assert!(!shown.contains(SECRET) && !shown.contains(&server.address().to_string()), "{case}: {shown}");
    }
    // Nobody listens, or the address is none.
    for (url, kind) in [
        (format!("http://127.0.0.1:1/{SECRET}"), PortErrorKind::Retryable),
        (format!("http://{SECRET} x/"), PortErrorKind::Refused),
    ] {
        let error = put(&responder, &url, None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}
