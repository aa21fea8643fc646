//! How much memory a build may take: the setting, but never more than half of what is free.

use crate::gucs;
use crate::workers::process;

/// What a build takes at least, in bytes.
const LEAST: f64 = 64.0 * 1_048_576.0;

/// The limit in bytes.
pub fn limit() -> f64 {
    let set = f64::from(gucs::index_build_memory_kb()) * 1_024.0;
    let machine = free().map_or(f64::INFINITY, |bytes| bytes / 2.0);
    set.min(machine).max(LEAST).max(maintenance())
}

/// `maintenance_work_mem` for a build that wants so many bytes, in kB: what it wants and a tenth,
/// within the limit, and not less than is set.
pub fn grant_kb(wanted: f64) -> i32 {
    let bytes = (wanted * 1.1).min(limit()).max(maintenance());
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let kb = (bytes / 1_024.0) as i32;
    kb.max(1_024)
}

/// `maintenance_work_mem` as it is, in bytes.
fn maintenance() -> f64 {
    let text = process::setting("maintenance_work_mem").unwrap_or_default();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "TB" => 1_099_511_627_776.0,
        "GB" => 1_073_741_824.0,
        "MB" => 1_048_576.0,
        _ => 1_024.0,
    };
    digits.parse::<f64>().unwrap_or(65_536.0) * unit
}

/// Free memory of the machine, or of the container that the server runs in.
fn free() -> Option<f64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let number = |path: &str| {
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<f64>().ok())
    };
    let container = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(max, now)| (max - now).max(0.0));
    match (machine, container) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn available(meminfo: &str) -> Option<f64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kb| kb * 1_024.0)
}
