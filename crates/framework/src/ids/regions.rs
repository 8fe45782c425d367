/// All AWS Regions: commercial, China, GovCloud and European Sovereign Cloud, as in the endpoint tables of the AWS SDK of November 2026,
/// without the isolated partitions. An unknown Region in a policy is usually a typing error; `newRegions` of the policy declares
/// Regions that are newer than this table.
pub const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The opt-in Regions: those that AWS opened after 20 March 2019 in its commercial partition ("AWS Regions", AWS Global Infrastructure
/// guide, November 2026). An account must enable them before use.
pub const OPT_IN_REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// Whether a Region is an opt-in Region. All Regions of the commercial partition that are newer than [`REGIONS`] are.
pub fn is_opt_in(region: &str) -> bool {
    OPT_IN_REGIONS.contains(&region) || (!REGIONS.contains(&region) && super::partition(region) == "aws")
}
