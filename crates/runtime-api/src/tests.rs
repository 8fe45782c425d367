use hyper::client::conn::http1::SendRequest;
use serde_json::json;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A function that sends the requests of the protocol itself.
struct HandWrittenFunction {
    sender: SendRequest<Full<Bytes>>,
}

struct ReceivedEvent {
    id: String,
    headers: hyper::HeaderMap,
    payload: Value,
}

impl HandWrittenFunction {
    async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(&mut self, method: Method, path: &str, body: &str) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/2018-06-01/runtime/{path}"))
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    async fn next(&mut self) -> ReceivedEvent {
        let response = self.send(Method::GET, "invocation/next", "").await;
        assert_eq!(response.status(), StatusCode::OK);
        let (head, body) = response.into_parts();
        let id = head.headers["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned();
        let payload = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        ReceivedEvent { id, headers: head.headers, payload }
    }

    async fn answer(&mut self, id: &str, kind: &str, body: &str) -> StatusCode {
        let response = self.send(Method::POST, &format!("invocation/{id}/{kind}"), body).await;
        let status = response.status();
        // Required before the connection can be used again.
        response.into_body().collect().await.unwrap();
        status
    }
}

async fn pair() -> (Arc<RuntimeApi>, HandWrittenFunction) {
    let api = Arc::new(RuntimeApi::start_as("probe").await.unwrap());
    let client = HandWrittenFunction::connect(&api.address.to_string()).await;
    (api, client)
}

#[tokio::test]
async fn event_reaches_function_and_response_returns() {
    let (api, mut client) = pair().await;
    let function = tokio::spawn(async move {
        let taken = client.next().await;
        assert_eq!(taken.payload, json!({"n": 1}));
        client.answer(&taken.id, "response", r#"{"seen":1}"#).await
    });
    let invocation = api.invoke(&json!({"n": 1}), SOON).await;
    assert_eq!(invocation.outcome, InvocationOutcome::Response(json!({"seen": 1})));
    assert_eq!(function.await.unwrap(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn event_headers_match_lambda() {
    let (api, mut client) = pair().await;
    let before = epoch_ms();
    let invoking = {
        tokio::spawn({
            let api = Arc::clone(&api);
            async move { api.invoke(&json!({}), SOON).await }
        })
    };
    let taken = client.next().await;
    let header = |name: &str| taken.headers[name].to_str().unwrap().to_owned();
    let deadline = header("lambda-runtime-deadline-ms").parse::<u128>().unwrap();
    assert!(deadline >= before + SOON.as_millis(), "{deadline} is before the time-out");
    assert!(deadline <= epoch_ms() + SOON.as_millis(), "{deadline} is after the time-out");
    assert_eq!(header("lambda-runtime-invoked-function-arn"), "arn:aws:lambda:us-east-1:000000000000:function:probe");
    let trace = header("lambda-runtime-trace-id");
    let root = trace.strip_prefix("Root=1-").and_then(|rest| rest.split(';').next()).unwrap();
    assert_eq!(root.split('-').map(str::len).collect::<Vec<_>>(), [8, 24], "{trace}");
    client.answer(&taken.id, "response", "null").await;
    assert_eq!(invoking.await.unwrap().outcome, InvocationOutcome::Response(Value::Null));
}

#[tokio::test]
async fn error_report_keeps_type_and_message() {
    let (api, mut client) = pair().await;
    tokio::spawn(async move {
        let taken = client.next().await;
        client.answer(&taken.id, "error", r#"{"errorType":"E","errorMessage":"no","stackTrace":[]}"#).await;
        let taken = client.next().await;
        client.answer(&taken.id, "error", "all is lost").await;
    });
    let first = api.invoke(&json!({}), SOON).await.outcome;
    assert_eq!(first, InvocationOutcome::Error { kind: "E".to_owned(), message: "no".to_owned() });
    let second = api.invoke(&json!({}), SOON).await.outcome;
    assert_eq!(
        second,
        InvocationOutcome::Error { kind: "Runtime.Unknown".to_owned(), message: "all is lost".to_owned() }
    );
}

#[tokio::test]
async fn response_that_is_not_json_is_shown_in_error() {
    let (api, mut client) = pair().await;
    tokio::spawn(async move {
        let taken = client.next().await;
        client.answer(&taken.id, "response", "<html>").await;
    });
    let InvocationOutcome::Error { kind, message } = api.invoke(&json!({}), SOON).await.outcome else {
        panic!("no error")
    };
    assert_eq!(kind, "Runtime.InvalidResponse");
    assert!(message.contains("`<html>`"), "{message}");
}

#[tokio::test]
async fn abandoned_invocation_is_not_delivered_or_answered() {
    let (api, mut client) = pair().await;
    // No request received it.
    assert_eq!(api.invoke(&json!("first"), Duration::ZERO).await.outcome, InvocationOutcome::TimedOut);

    // Received, but answered too late.
    let invoking = {
        let api = Arc::clone(&api);
        tokio::spawn(async move { api.invoke(&json!("second"), SOON).await })
    };
    let taken = client.next().await;
    assert_eq!(taken.payload, json!("second"));
    invoking.abort();
    assert!(invoking.await.unwrap_err().is_cancelled());
    assert_eq!(client.answer(&taken.id, "response", "1").await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn first_request_marks_function_ready() {
    let (api, mut client) = pair().await;
    assert_eq!(*api.startup.borrow(), Startup::Pending);
    tokio::spawn(async move { client.next().await.id });
    assert!(matches!(api.started().await, Startup::Ready(_)));
}

#[tokio::test]
async fn init_error_reports_failed_start() {
    let (api, mut client) = pair().await;
    let response = client.send(Method::POST, "init/error", r#"{"errorType":"Init","errorMessage":"no table"}"#).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let failure = InvocationOutcome::Error { kind: "Init".to_owned(), message: "no table".to_owned() };
    assert_eq!(api.started().await, Startup::Failed(failure));
}

#[tokio::test]
async fn unknown_path_and_id_are_rejected() {
    let (_api, mut client) = pair().await;
    assert_eq!(client.answer("unknown", "response", "{}").await, StatusCode::BAD_REQUEST);
    let response = client.send(Method::GET, "invocation/last", "").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

/// The process that the tests below start: this test binary, with only this test.
#[tokio::test]
async fn function_process() {
    let Some(address) = std::env::var_os("AWS_LAMBDA_RUNTIME_API") else { return };
    let mut client = HandWrittenFunction::connect(address.to_str().unwrap()).await;
    loop {
        let taken = client.next().await;
        eprintln!("took {}", taken.payload);
        match taken.payload.as_str() {
            Some("exit") => std::process::exit(7),
            Some("answer and exit") => {
                client.answer(&taken.id, "response", r#""bye""#).await;
                std::process::exit(0);
            }
            Some("hang") => std::future::pending().await,
            _ => {
                let env = std::env::vars().collect::<std::collections::BTreeMap<_, _>>();
                client.answer(&taken.id, "response", &json!(env).to_string()).await;
            }
        }
    }
}

async fn process() -> Function {
    Launch::new(std::env::current_exe().unwrap())
        .arg("--exact")
        .arg("tests::function_process")
        .arg("--nocapture")
        .name("probe")
        .env("TABLE", "t")
        .env("AWS_REGION", "eu-west-1")
        .without_env("AWS_SECRET_ACCESS_KEY")
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn process_has_only_variables_of_lambda() {
    let mut function = process().await;
    let InvocationOutcome::Response(env) = function.invoke(&json!("env"), SOON).await.outcome else {
        panic!("no answer")
    };
    let got = |key: &str| env.get(key).and_then(Value::as_str);
    assert_eq!(got("AWS_LAMBDA_FUNCTION_NAME"), Some("probe"));
    assert_eq!(got("AWS_LAMBDA_FUNCTION_VERSION"), Some("$LATEST"));
    assert_eq!(got("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), Some("256"));
    assert_eq!(got("AWS_REGION"), Some("eu-west-1"), "the caller's value must win");
    assert_eq!(got("TABLE"), Some("t"));
    assert_eq!(got("AWS_ACCESS_KEY_ID"), Some("test"));
    assert_eq!(got("AWS_SECRET_ACCESS_KEY"), None);
    // Cargo sets this variable for tests; the function must not inherit it.
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
    assert_eq!(got("CARGO_PKG_NAME"), None);
}

#[tokio::test]
async fn process_reports_time_memory_and_log() {
    let mut function = process().await;
    let start = function.ready().await.unwrap();
    assert!(start > Duration::ZERO);
    let invocation = function.invoke(&json!("env"), SOON).await;
    assert!(invocation.duration > Duration::ZERO);
    if cfg!(target_os = "linux") {
        assert!(function.peak_memory().unwrap() > 100 * 1024);
    }
    assert!(function.stop().await.contains(&r#"took "env""#.to_owned()));
}

#[tokio::test]
async fn process_exit_is_reported_with_code() {
    let mut function = process().await;
    assert_eq!(function.invoke(&json!("exit"), SOON).await.outcome, InvocationOutcome::Exited { code: Some(7) });
    assert_eq!(function.invoke(&json!("env"), SOON).await.outcome, InvocationOutcome::Exited { code: Some(7) });
}

#[tokio::test]
async fn response_before_exit_is_kept() {
    let mut function = process().await;
    assert_eq!(
        function.invoke(&json!("answer and exit"), SOON).await.outcome,
        InvocationOutcome::Response(json!("bye"))
    );
}

#[tokio::test]
async fn process_without_response_is_killed() {
    let mut function = process().await;
    function.ready().await.unwrap();
    assert_eq!(function.invoke(&json!("hang"), Duration::from_millis(50)).await.outcome, InvocationOutcome::TimedOut);
    assert_eq!(function.invoke(&json!("env"), SOON).await.outcome, InvocationOutcome::Exited { code: None });
    if cfg!(target_os = "linux") {
        assert_eq!(function.peak_memory(), None, "the process is still there");
    }
}

#[tokio::test]
async fn failed_start_has_reason_in_log() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&lines);
    let mut function = Launch::new("/bin/sh")
        .arg("-c")
        .arg("echo 'missing: `TABLE`' >&2; exit 3")
        .on_line(move |line| received.lock().unwrap().push(line.to_owned()))
        .start()
        .await
        .unwrap();
    assert_eq!(function.ready().await, Err(InvocationOutcome::Exited { code: Some(3) }));
    assert_eq!(function.stop().await, ["missing: `TABLE`"]);
    assert_eq!(*lines.lock().unwrap(), ["missing: `TABLE`"]);
}

#[tokio::test]
async fn missing_program_is_named_in_error() {
    let error = Function::start(std::path::Path::new("/nowhere/bootstrap"), &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/nowhere/bootstrap`");
}

#[tokio::test]
async fn dropped_function_ends_process() {
    let function = process().await;
    let stat = format!("/proc/{}/stat", function.pid());
    drop(function);
    if cfg!(target_os = "linux") {
        // The process is gone, or a zombie until tokio reaps it.
        for _ in 0..200 {
            match std::fs::read_to_string(&stat) {
                Ok(stat) if !stat.contains(") Z ") => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => return,
            }
        }
        panic!("the process is still running");
    }
}

#[test]
fn peak_memory_is_read_from_proc_status() {
    assert_eq!(function::peak_of("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2_097_152));
    assert_eq!(function::peak_of("Name:\tx\n"), None);
    assert_eq!(function::peak_of("VmHWM:\t many kB\n"), None);
}
