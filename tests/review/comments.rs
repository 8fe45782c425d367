//! Stand-ins of the APIs for comments: those of GitHub on an issue, and those of GitLab on a merge request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::server::{Received, Reply, Server};

/// The token of a job, which must not appear in its log.
pub(super) const TOKEN: &str = "t0ken-5ec7e7";

/// Comments in a page.
const PER_PAGE: usize = 100;

/// The maximum of characters that GitHub accepts.
pub(super) const LONGEST: usize = 65_536;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    GitHub,
    GitLab,
}

/// The API of a host with the comments of one pull or merge request, number 7.
#[derive(Debug)]
pub(super) struct CommentApi {
    pub(super) server: Server,
    comments: Arc<Mutex<Vec<Value>>>,
}

impl CommentApi {
    pub(super) fn start(host: Host) -> Self {
        Self::refusing(host, None)
    }

    /// Answers every write with this reply.
    pub(super) fn refusing(host: Host, refusal: Option<Reply>) -> Self {
        let comments: Arc<Mutex<Vec<Value>>> = Arc::default();
        let stored = Arc::clone(&comments);
        let server = Server::answering(move |_, request| {
            let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
            match &refusal {
                Some(refusal) if request.method != "GET" => refusal.clone(),
                _ => answer(host, request, &mut stored),
            }
        });
        Self { server, comments }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(super) fn comments(&self) -> MutexGuard<'_, Vec<Value>> {
        self.comments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a comment of a person.
    pub(super) fn add(&self, body: &str) {
        let mut comments = self.comments();
        let id = comments.len() + 1;
        let user = json!({ "login": "person", "type": "User", "id": 9 });
        comments.push(json!({ "id": id, "body": body, "user": user, "author": user }));
    }

    /// The bodies of the comments of the job.
    pub(super) fn own(&self) -> Vec<String> {
        let comments = self.comments();
        let own = comments.iter().filter(|comment| comment["user"]["login"] == "github-actions[bot]");
        own.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// The methods of the requests that changed comments.
    pub(super) fn writes(&self) -> Vec<String> {
        let received = self.server.received();
        received.iter().filter(|request| request.method != "GET").map(|request| request.method.clone()).collect()
    }
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::Status(status, json!({ "message": message }).to_string())
}

fn answer(host: Host, request: &Received, comments: &mut Vec<Value>) -> Reply {
    let (list, edit, verb, user) = match host {
        Host::GitHub => ("/repos/acme/policy/issues/7/comments", "/repos/acme/policy/issues/comments", "PATCH", None),
        Host::GitLab => ("/projects/42/merge_requests/7/notes", "/projects/42/merge_requests/7/notes", "PUT", Some(1)),
    };
    let authorized = match host {
        Host::GitHub => request.header("authorization") == Some(&format!("Bearer {TOKEN}")),
        Host::GitLab => request.header("private-token") == Some(TOKEN),
    };
    if !authorized {
        return refusal(401, "Bad credentials");
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let id = path.strip_prefix(edit).and_then(|rest| rest.strip_prefix('/')?.parse::<u64>().ok());
    match (request.method.as_str(), path, id) {
        ("GET", "/user", _) => match user {
            Some(id) => Reply::Status(200, json!({ "id": id }).to_string()),
            None => refusal(403, "Resource not accessible by integration"),
        },
        ("GET", path, _) if path == list => {
            let page = query.split('&').find_map(|part| part.strip_prefix("page=")?.parse::<usize>().ok()).unwrap();
            assert!(query.contains("per_page=100"), "{query}");
            let page: Vec<&Value> = comments.iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).collect();
            Reply::Status(200, json!(page).to_string())
        }
        ("POST", path, _) if path == list => {
            let body = request.json()["body"].as_str().unwrap().to_owned();
            if body.chars().count() > LONGEST {
                return refusal(422, "Body is too long");
            }
            let id = comments.len() + 1;
            let user = json!({ "login": "github-actions[bot]", "type": "Bot", "id": 1 });
            comments.push(json!({ "id": id, "body": body, "user": user, "author": user }));
            Reply::Status(201, json!(comments.last()).to_string())
        }
        (method, _, Some(id)) if method == verb => match comments.iter_mut().find(|comment| comment["id"] == id) {
            Some(comment) => {
                comment["body"] = request.json()["body"].clone();
                Reply::Status(200, comment.to_string())
            }
            None => refusal(404, "Not Found"),
        },
        _ => refusal(404, "Not Found"),
    }
}
