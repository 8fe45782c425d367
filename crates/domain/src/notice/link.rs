//! Links to the AWS console. Names come from outside, so whatever could end a link or change where it leads is encoded, here
//! and nowhere else.

use crate::ids::RegionName;
use std::fmt::Write as _;

/// Longer links are cut by mail programs and browsers; none is better than half of one.
const LONGEST: usize = 2_000;

/// What AWS Config recorded of a resource and its compliance over time. People must be signed in to its account.
pub(super) fn timeline(region: &RegionName, resource_type: &str, resource_id: &str) -> Option<String> {
    let (kind, id) = (encoded(resource_type), encoded(resource_id));
    config(region, &format!("resources/timeline?resourceId={id}&resourceType={kind}"))
}

/// The Config rule with all its results.
pub(super) fn rule(region: &RegionName, rule_name: &str) -> Option<String> {
    config(region, &format!("rules/details?configRuleName={}", encoded(rule_name)))
}

/// A page of a service: `service/route#fragment`, in a Region or for all of them.
pub(super) fn console(region: &RegionName, page: &str, is_regional: bool) -> String {
    let host = host(region);
    if !is_regional {
        return format!("https://{host}/{page}");
    }
    match page.split_once('#') {
        Some((route, fragment)) => format!("https://{region}.{host}/{route}?region={region}#{fragment}"),
        None => format!("https://{region}.{host}/{page}?region={region}"),
    }
}

fn config(region: &RegionName, place: &str) -> Option<String> {
    let link = console(region, &format!("config/home#/{place}"), true);
    (link.len() <= LONGEST).then_some(link)
}

/// The console of a partition.
fn host(region: &RegionName) -> &'static str {
    match region.partition() {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        "aws-eusc" => "console.amazonaws-eusc.eu",
        _ => "console.aws.amazon.com",
    }
}

/// Percent-encoded, everything but letters, digits, `-`, `.`, `_` and `~`.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
