//! Links to the AWS console. External names are percent-encoded, so that they cannot end a link or change its target.

use framework::ids::RegionName;

use super::text::url_encoded;

/// Mail programs and browsers cut longer links.
const MAX_LINK: usize = 2_000;

/// Returns the link to the resource's timeline of configuration and compliance in AWS Config. `None` if it would be too long.
pub(super) fn timeline(region: &RegionName, resource_type: &str, resource_id: &str) -> Option<String> {
    let (kind, id) = (url_encoded(resource_type), url_encoded(resource_id));
    config(region, &format!("resources/timeline?resourceId={id}&resourceType={kind}"))
}

pub(super) fn rule(region: &RegionName, rule_name: &str) -> Option<String> {
    config(region, &format!("rules/details?configRuleName={}", url_encoded(rule_name)))
}

/// Returns the link to a console page `service/route#fragment`, which may be regional or global.
pub(super) fn console(region: &RegionName, page: &str, is_regional: bool) -> String {
    let host = match region.partition() {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        "aws-eusc" => "console.amazonaws-eusc.eu",
        _ => "console.aws.amazon.com",
    };
    if !is_regional {
        return format!("https://{host}/{page}");
    }
    match page.split_once('#') {
        Some((route, fragment)) => format!("https://{region}.{host}/{route}?region={region}#{fragment}"),
        None => format!("https://{region}.{host}/{page}?region={region}"),
    }
}

fn config(region: &RegionName, route: &str) -> Option<String> {
    Some(console(region, &format!("config/home#/{route}"), true)).filter(|link| link.len() <= MAX_LINK)
}
