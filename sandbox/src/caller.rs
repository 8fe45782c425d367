//! Finds the Lambda function at the other end of a local connection.
//!
//! MiniStack gives all functions the same credentials. On Linux, /proc shows which process owns the connection, and
//! the process of a function has the function's name in its environment, as on AWS.

use std::fs;
use std::net::SocketAddr;

/// Returns the name of the function whose process has opened this connection.
pub(crate) fn function_behind(peer: SocketAddr) -> Option<String> {
    let inode = inode_of(&fs::read_to_string("/proc/net/tcp").ok()?, peer)?;
    let link = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(function) = function_of(&process.path()) else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|target| target.to_str() == Some(&link));
        if files.filter_map(Result::ok).any(holds) {
            return Some(function);
        }
    }
    None
}

fn function_of(process: &std::path::Path) -> Option<String> {
    process.file_name()?.to_str()?.parse::<u32>().ok()?;
    let environ = fs::read(process.join("environ")).ok()?;
    let name =
        environ.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Returns the inode of the socket whose local address is `peer`, from the table `/proc/net/tcp`.
fn inode_of(table: &str, peer: SocketAddr) -> Option<String> {
    let SocketAddr::V4(peer) = peer else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(peer.ip().octets()), peer.port());
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (address, inode) = (columns.get(1)?, columns.get(9)?);
        (*address == local && *inode != "0").then(|| (*inode).to_owned())
    })
}

#[cfg(test)]
mod tests;
