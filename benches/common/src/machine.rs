//! The machine of the results.

use serde::Serialize;

/// Properties of a machine that affect the results.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The model of the processor.
    pub cpu: String,
    /// The number of cores.
    pub cores: usize,
    /// The release of the kernel.
    pub kernel: String,
    /// The memory, in MiB.
    pub memory_mib: Option<u64>,
    /// The load average at the start: other work distorts the results.
    pub load: Option<f64>,
}

impl Machine {
    /// Returns this machine.
    pub fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let known = |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        Self {
            cpu: known(after(&read("/proc/cpuinfo"), "model name")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: known(Some(read("/proc/sys/kernel/osrelease").trim().to_owned())),
            memory_mib: after(&read("/proc/meminfo"), "MemTotal")
                .and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok())
                .map(|kib| kib / 1024),
            load: read("/proc/loadavg").split(' ').next().and_then(|value| value.parse().ok()),
        }
    }

    /// Describes the machine in one line, without a period.
    pub fn describe(&self) -> String {
        format!(
            "{} ({} cores, {} MiB, Linux {}, load {:.1} at the start)",
            self.cpu,
            self.cores,
            self.memory_mib.unwrap_or_default(),
            self.kernel,
            self.load.unwrap_or_default(),
        )
    }
}
