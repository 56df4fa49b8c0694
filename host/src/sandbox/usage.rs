//! What a call used, for whoever asks and for a record of calls.

use std::fmt;
use std::time::Duration;

/// What one call used. Open descriptors are not among it: only the worker itself could count them, and it is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallUsage {
    /// From the request to the answer, the host's own work for it included.
    pub wall: Duration,
    /// CPU time of all threads and processes since it was last asked for, the time between calls included; with that of the
    /// programs that the host ran for the call.
    pub cpu: Duration,
    /// Peak resident memory of the worker so far, in KiB; of a handler's call, as it was last looked at. Of a program that
    /// the host ran for the call, where that is more.
    pub peak_kib: u64,
    /// Bytes of the request and of what the host answered to the plugin's own calls.
    pub bytes_in: u64,
    /// Bytes of output, log lines, host calls and the answer.
    pub bytes_out: u64,
    /// Host calls and log lines.
    pub services: u64,
    /// What went over connections, the plugin's own and those of its programs.
    pub traffic: Traffic,
}

/// What went over connections of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Connections that were asked for.
    pub connections: u64,
    /// Bytes, both ways.
    pub bytes: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.bytes += other.bytes;
    }
}

/// A length in memory as a count of bytes.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl fmt::Display for CallUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, cpu, peak_kib, bytes_in, bytes_out, services, traffic } = self;
        let (wall, cpu) = (wall.as_secs_f64(), cpu.as_secs_f64());
        write!(f, "{wall:.3} s, {cpu:.3} s of CPU time, {peak_kib} KiB of memory at most, ")?;
        write!(f, "{bytes_in} bytes in, {bytes_out} bytes out, {services} host calls")?;
        match traffic {
            Traffic { connections: 0, .. } => Ok(()),
            Traffic { connections, bytes } => write!(f, ", {connections} connections with {bytes} bytes"),
        }
    }
}
