//! The time of the import of findings if each account and Region has its own Security Hub.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde::Serialize;

use app::violations::NotificationChannels as _;
use aws::Clients;
use aws::settings::{ChannelSettings, SecurityHubMode, TopicArn};
use domain::notice::{FindingHome, Notice, NoticeContext, ViolationNotice};
use domain::violation::{ChangeOutcome, Channel, PendingDelivery, Update, apply};
use framework::ids::{AccountId, RegionName};

use crate::flood::Flood;

/// The accounts of a large organization with a framework in each account.
const ACCOUNTS: usize = 800;
const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
/// The latency of each call.
const LATENCY: Duration = Duration::from_millis(200);

/// The import of one violation in each account and Region.
#[derive(Debug, Serialize)]
pub(crate) struct FindingImports {
    pub(crate) homes: usize,
    /// AWS calls: a role per account, an import per account and Region.
    pub(crate) calls: usize,
    pub(crate) latency_ms: u128,
    pub(crate) seconds: f64,
    /// The time of the same calls in sequence.
    pub(crate) one_by_one_seconds: f64,
}

pub(crate) fn measure(from: Timestamp) -> anyhow::Result<FindingImports> {
    let calls = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || answer(stream, &counted));
        }
    });
    let notices = notices(from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (outcomes, took) = runtime.block_on(async {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(format!("http://{address}"))
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let home = FindingHome { account: AccountId::parse("000000000000")?, region: RegionName::parse("eu-west-1")? };
        let arn = "arn:aws:sns:eu-west-1:000000000000:notices".to_owned();
        let channels = Clients::from_config(config).channels(&ChannelSettings {
            notification_topic: &TopicArn { arn, partition: "aws".to_owned(), home },
            chat_topic_arn: None,
            security_hub: SecurityHubMode::Member,
            member_role_name: Some("backup-compliance"),
            event_bus_name: None,
        });
        // The time limit of a sweep.
        let channels = channels.until(tokio::time::Instant::now() + Duration::from_mins(14));
        let began = Instant::now();
        let outcomes = channels.deliver(Channel::SecurityHub, &notices).await;
        anyhow::Ok((outcomes, began.elapsed()))
    })?;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    ensure!(
        failed == 0,
        "{failed} of {} findings were not imported: {:?}",
        notices.len(),
        outcomes.iter().find(|o| o.is_err())
    );
    let calls = calls.load(Ordering::Relaxed);
    Ok(FindingImports {
        homes: notices.len(),
        calls,
        latency_ms: LATENCY.as_millis(),
        seconds: took.as_secs_f64(),
        one_by_one_seconds: LATENCY.as_secs_f64() * u32::try_from(calls).map_or(f64::INFINITY, f64::from),
    })
}

fn notices(from: Timestamp) -> anyhow::Result<Vec<Notice>> {
    let flood = Flood::new(10, from);
    let event = flood.events.first().context("no event")?;
    let change = app::events::compliance_change(event)?;
    let ChangeOutcome::Store { record, .. } = apply(None, &change) else { anyhow::bail!("the event changes nothing") };
    let mut notices = Vec::new();
    for account in 0..ACCOUNTS {
        for region in REGIONS {
            let mut record = record.clone();
            record.key.account = AccountId::parse(&format!("{:012}", 100_000_000_000 + account))?;
            record.key.region = RegionName::parse(region)?;
            let debt = PendingDelivery {
                update: Update::Opened,
                at: from,
                since: record.since,
                channels: [].into(),
                earlier_transitions: 0,
            };
            notices.push(ViolationNotice::new(&record, &debt, NoticeContext::default()).into());
        }
    }
    Ok(notices)
}

/// Answers one request after [`LATENCY`]: with credentials, or with a successful import.
fn answer(mut stream: TcpStream, calls: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let import = line.contains("/findings/import");
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    calls.fetch_add(1, Ordering::Relaxed);
    std::thread::sleep(LATENCY);
    let body = if import {
        r#"{"FailedCount":0,"SuccessCount":1,"FailedFindings":[]}"#
    } else {
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()
}
