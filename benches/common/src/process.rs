//! Core time and memory of this process, as the Linux kernel reports them.

use std::time::Duration;

/// Returns the core time of this thread so far; other processes do not affect it.
pub fn core_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Returns a figure of `/proc/self/status` in MiB, for instance `VmHWM:`, the peak memory.
pub fn status_mib(key: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
