//! Measures the nightly inventory of a large organization against a stand-in with the rates of AWS, in virtual time.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program prints tables")]

mod cloud;
mod organization;
mod rates;
mod results;
mod run;

use std::path::PathBuf;

use clap::Parser;

use bench_common::write_json;

use crate::organization::OrganizationSize;

#[derive(Debug, Parser)]
#[command(version, about)]
struct InventoryArgs {
    /// Accounts of the organization.
    #[arg(long, default_value_t = 800)]
    accounts: usize,
    /// Regions of each account.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    regions: u8,
    /// Resources in each account and Region.
    #[arg(long, default_value_t = 10)]
    resources: usize,
    /// Recovery points of each resource.
    #[arg(long, default_value_t = 7)]
    points: usize,
    /// File for the results, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let InventoryArgs { accounts, regions, resources, points, json } = InventoryArgs::parse();
    let size = OrganizationSize { accounts, regions: usize::from(regions), resources, points };
    eprintln!("inventory: {} accounts and Regions", size.locations());
    let results = results::InventoryResults::of(size, run::measure(size)?);
    if let Some(path) = &json {
        write_json(path, &results)?;
    }
    println!("{}", results.render());
    Ok(())
}
