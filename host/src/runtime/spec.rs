//! What a plugin gets of everything: the limits of its kind, and no more than the policy allows.

use std::time::Duration;

use migraine_plugin_api::{Permission, PermissionKind};

use crate::policy::LimitCaps;
use crate::sandbox::CallLimits;
use crate::wire::{ConnectionLimits, Limits, Rlimits, WorkerSpec};

/// The worker of a plugin with these grants.
#[must_use]
pub fn worker_spec(grants: &[Permission], caps: &LimitCaps) -> WorkerSpec {
    spec(grants, Rlimits::NATIVE, caps)
}

/// The same for a script.
#[must_use]
pub(super) fn script_spec(grants: &[Permission], caps: &LimitCaps) -> WorkerSpec {
    spec(grants, Rlimits::SCRIPT, caps)
}

fn spec(grants: &[Permission], of_kind: Rlimits, caps: &LimitCaps) -> WorkerSpec {
    let receives_descriptors = grants.iter().any(|held| held.kind() == PermissionKind::Network);
    WorkerSpec { rlimits: rlimits(of_kind, caps), receives_descriptors, reads_input: false }
}

/// The limits of a worker.
#[must_use]
pub fn rlimits(of_kind: Rlimits, caps: &LimitCaps) -> Rlimits {
    Rlimits {
        data: least(of_kind.data, caps.memory),
        descriptors: least(of_kind.descriptors, caps.descriptors),
        threads: least(of_kind.threads, caps.processes),
        file_size: least(of_kind.file_size, caps.file_size),
        scratch: least(of_kind.scratch, caps.scratch),
        scratch_files: least(of_kind.scratch_files, caps.scratch_files),
        ..of_kind
    }
}

/// The limits of a call, but for its wall clock.
#[must_use]
pub fn call_limits(of_kind: &Limits, caps: &LimitCaps) -> CallLimits {
    let limits = CallLimits::from(of_kind);
    CallLimits {
        cpu: at_most(limits.cpu, caps.cpu),
        services: least(limits.services, caps.host_calls),
        command_output: least(limits.command_output, caps.command_output),
        log: least(limits.log, caps.log),
        output: least(limits.output, caps.output),
        connections: count(limits.connections, caps.connections),
        ..limits
    }
}

/// The limits of the proxy for a program.
#[must_use]
pub fn proxy_limits(caps: &LimitCaps) -> ConnectionLimits {
    capped(&ConnectionLimits::PROGRAM, caps)
}

/// The limits of the streams that a plugin holds itself; what caps the proxy caps these as well.
#[must_use]
pub fn stream_limits(caps: &LimitCaps) -> ConnectionLimits {
    capped(&ConnectionLimits::PLUGIN, caps)
}

fn capped(limits: &ConnectionLimits, caps: &LimitCaps) -> ConnectionLimits {
    ConnectionLimits {
        open: caps.proxy_open.and_then(|cap| usize::try_from(cap).ok()).map_or(limits.open, |cap| limits.open.min(cap)),
        all: count(limits.all, caps.connections),
        bytes: least(limits.bytes, caps.proxy_bytes),
        idle: at_most(limits.idle, caps.proxy_idle),
        ..*limits
    }
}

/// The shorter of a time and a cap in seconds.
#[must_use]
pub(super) fn at_most(time: Duration, cap: Option<u64>) -> Duration {
    cap.map_or(time, |cap| time.min(Duration::from_secs(cap)))
}

fn least(limit: u64, cap: Option<u64>) -> u64 {
    cap.map_or(limit, |cap| limit.min(cap))
}

fn count(limit: u32, cap: Option<u64>) -> u32 {
    cap.and_then(|cap| u32::try_from(cap).ok()).map_or(limit, |cap| limit.min(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_lowers_and_never_raises() {
        let none = LimitCaps::default();
        assert_eq!(rlimits(Rlimits::NATIVE, &none), Rlimits::NATIVE);
        assert_eq!(proxy_limits(&none), ConnectionLimits::PROGRAM);
        let [low, high] = [1, u64::MAX].map(|cap| {
            let all = LimitCaps::KEYS.iter().map(|key| format!("\"{key}\":{}", cap.clamp(1 << 16, (1 << 31) - 1)));
            let text = format!("{{{}}}", all.collect::<Vec<_>>().join(","));
            let caps: LimitCaps = serde_json::from_str(&text).unwrap();
            caps
        });
        assert_eq!(rlimits(Rlimits::SCRIPT, &high), Rlimits::SCRIPT);
        assert_eq!(proxy_limits(&high), ConnectionLimits::PROGRAM);
        let lowered = rlimits(Rlimits::NATIVE, &low);
        for lowered in [lowered.data, lowered.file_size, lowered.scratch] {
            assert_eq!(lowered, 1 << 16);
        }
        let low = LimitCaps {
            cpu: Some(2),
            processes: Some(3),
            descriptors: Some(4),
            scratch_files: Some(5),
            command_output: Some(13),
            output: Some(6),
            log: Some(7),
            host_calls: Some(8),
            connections: Some(9),
            proxy_open: Some(1),
            proxy_bytes: Some(11),
            proxy_idle: Some(12),
            ..low
        };
        let lowered = rlimits(Rlimits::NATIVE, &low);
        assert_eq!((lowered.threads, lowered.descriptors, lowered.scratch_files), (3, 4, 5));
        let calls = call_limits(&Limits::NATIVE, &low);
        assert_eq!((calls.output, calls.log, calls.services, calls.connections), (6, 7, 8, 9));
        assert_eq!(calls.command_output, 13);
        assert_eq!(calls.cpu, Duration::from_secs(2));
        let proxy = proxy_limits(&low);
        assert_eq!((proxy.open, proxy.all, proxy.bytes, proxy.idle.as_secs()), (1, 9, 11, 12));
    }
}
