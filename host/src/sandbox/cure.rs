//! What stands behind a step that failed, and what to do about it: the one table for `doctor` and for the help of errors.

use std::fs;

use super::stage::Stage;
use crate::text::display_safe;
use crate::wire::FailedStep;

/// The settings of this machine that decide whether the sandbox can be built; `None` where this kernel has no such setting
/// or it cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// `user.max_user_namespaces` of namespaces(7).
    pub(super) max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, which Debian's kernels have.
    pub(super) unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, which Ubuntu's kernels have.
    pub(super) apparmor_restrict: Option<u64>,
    /// The security modules that were switched on at boot, with commas.
    pub(super) lsm: Option<String>,
    /// The kernel's release.
    pub(super) release: Option<String>,
    /// Whether this process already has a system call filter, as in a container.
    pub(super) is_filtered: bool,
}

impl Settings {
    /// As they are now.
    pub(super) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok().map(|text| display_safe(text.trim(), 200));
        let number = |path: &str| text(path).and_then(|text| text.parse().ok());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).map(str::trim);
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            lsm: text("/sys/kernel/security/lsm"),
            release: text("/proc/sys/kernel/osrelease"),
            is_filtered: mode.is_some_and(|mode| mode != "0"),
        }
    }
}

const FILTER: &str = "this program was started under a system call filter, as in a container: give the container a seccomp \
                      profile that allows unshare, mount, pivot_root, Landlock and seccomp itself (Docker: \
                      --security-opt seccomp=FILE), or run outside of it";

/// What to do about a step that failed.
pub(super) fn cure(failed: &FailedStep, settings: &Settings) -> String {
    let errno = failed.errno;
    match Stage::of(&failed.step) {
        Some(Stage::Drop) => "let root keep CAP_SETUID and CAP_SETGID, or run migraine as a plain user".to_owned(),
        Some(Stage::Namespaces | Stage::Nested) => namespaces(errno, settings),
        Some(Stage::Mount | Stage::Pivot | Stage::Procfs | Stage::Worker) => mounts(errno, settings),
        Some(Stage::Landlock) => landlock(errno, settings),
        Some(Stage::Seccomp) => seccomp(errno, settings),
        Some(Stage::Check) => {
            "the sandbox stands but does not hold: no plugin is run; report it with what `migraine doctor` says"
                .to_owned()
        }
        Some(Stage::Start | Stage::Limits | Stage::Privileges | Stage::Engines) | None => {
            "run `migraine doctor` to see how far the sandbox can be built; SECURITY.md says what it needs".to_owned()
        }
    }
}

/// A switch that forbids user namespaces, if one does.
fn switch(settings: &Settings) -> Option<String> {
    if settings.max_user_namespaces == Some(0) {
        return Some("user namespaces are switched off: sysctl -w user.max_user_namespaces=15000".to_owned());
    }
    if settings.unprivileged_userns_clone == Some(0) {
        return Some("user namespaces are kept for root: sysctl -w kernel.unprivileged_userns_clone=1".to_owned());
    }
    if settings.apparmor_restrict.is_some_and(|value| value != 0) {
        return Some(
            "AppArmor keeps user namespaces for programs with a profile: give migraine one that holds `userns,`, or \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
                .to_owned(),
        );
    }
    None
}

fn namespaces(errno: Option<i32>, settings: &Settings) -> String {
    if let Some(switch) = switch(settings) {
        return switch;
    }
    match errno {
        Some(libc::ENOSPC | libc::EUSERS) => format!(
            "no more user namespaces may be made, or they are nested too deep: raise user.max_user_namespaces{}, or run \
             outside of the container",
            settings.max_user_namespaces.map(|most| format!(" (now {most})")).unwrap_or_default()
        ),
        _ if settings.is_filtered => FILTER.to_owned(),
        Some(libc::EINVAL | libc::ENOSYS) => {
            "the kernel was built without a kind of namespace: it needs user, mount, pid, network, ipc, uts and cgroup \
             namespaces"
                .to_owned()
        }
        _ => "user namespaces must be allowed: see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone \
              and kernel.apparmor_restrict_unprivileged_userns, or the container's profile"
            .to_owned(),
    }
}

fn mounts(errno: Option<i32>, settings: &Settings) -> String {
    match (errno, switch(settings)) {
        // The namespace was allowed, and then every right in it was taken away.
        (Some(libc::EPERM | libc::EACCES), Some(switch)) => switch,
        (Some(libc::ENOSPC), _) => "there are too many mounts here: raise fs.mount-max".to_owned(),
        (Some(libc::EAGAIN), _) => "too many processes of this user run: end some, or raise the limit (ulimit -u)".to_owned(),
        (Some(libc::ENOMEM), _) => "the machine is out of memory".to_owned(),
        _ if settings.is_filtered => FILTER.to_owned(),
        (Some(libc::EINVAL), _) => {
            "the root of this process cannot be left, as in an initial RAM disk or a chroot: run on a mounted root".to_owned()
        }
        _ => "mounts inside a user namespace must be allowed: see the AppArmor or SELinux profile of this program or its \
              container (Docker: --security-opt apparmor=PROFILE)"
            .to_owned(),
    }
}

fn landlock(errno: Option<i32>, settings: &Settings) -> String {
    let release = settings.release.as_deref().unwrap_or("unknown");
    match errno {
        Some(libc::EOPNOTSUPP) => match settings.lsm.as_deref() {
            Some(modules) => format!("switch Landlock on with the boot parameter lsm=landlock,{modules}"),
            None => "switch Landlock on: add `landlock` to the boot parameter lsm=".to_owned(),
        },
        _ if settings.is_filtered => FILTER.to_owned(),
        _ => format!(
            "Landlock version 3 is needed: Linux 6.2 or later, built with CONFIG_SECURITY_LANDLOCK (this is {release})"
        ),
    }
}

fn seccomp(errno: Option<i32>, settings: &Settings) -> String {
    match errno {
        Some(libc::EBUSY) => {
            "another program already answers for the system calls of this one, and the kernel allows one to do so: run \
             migraine outside of it"
                .to_owned()
        }
        _ if settings.is_filtered => FILTER.to_owned(),
        _ => "seccomp filters with user notification are needed: Linux 5.6 or later, built with CONFIG_SECCOMP_FILTER"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: &str, errno: i32, settings: &Settings, says: &str) {
        let failed = FailedStep { step: step.to_owned(), reason: String::new(), errno: Some(errno) };
        let cure = cure(&failed, settings);
        assert!(cure.contains(says), "{step} {errno}: {cure}");
    }

    #[test]
    fn the_setting_behind_a_failure_is_named() {
        let free = Settings { max_user_namespaces: Some(15000), ..Settings::default() };
        let off = Settings { max_user_namespaces: Some(0), ..Settings::default() };
        let debian = Settings { unprivileged_userns_clone: Some(0), ..free.clone() };
        let ubuntu = Settings { apparmor_restrict: Some(1), ..free.clone() };
        let docker = Settings { is_filtered: true, apparmor_restrict: Some(0), ..free.clone() };
        let modules = Settings { lsm: Some("capability,yama".to_owned()), ..free.clone() };
        let (unshare, nested) = ("unshare namespaces", "unshare the worker's user namespace");
        check(unshare, libc::ENOSPC, &off, "user.max_user_namespaces=");
        check(unshare, libc::ENOSPC, &free, "(now 15000)");
        check(unshare, libc::EPERM, &debian, "kernel.unprivileged_userns_clone=1");
        check(unshare, libc::EPERM, &ubuntu, "kernel.apparmor_restrict_unprivileged_userns=0");
        check(unshare, libc::EPERM, &docker, "seccomp profile");
        check(unshare, libc::EPERM, &free, "user namespaces must be allowed");
        check(unshare, libc::EINVAL, &free, "built without");
        check(nested, libc::EPERM, &ubuntu, "kernel.apparmor_restrict_unprivileged_userns=0");
        check("make mounts private", libc::EACCES, &ubuntu, "kernel.apparmor_restrict_unprivileged_userns=0");
        check("mount the root", libc::EPERM, &docker, "seccomp profile");
        check("mount the root", libc::EACCES, &free, "AppArmor or SELinux profile");
        check("pivot the root", libc::EINVAL, &free, "initial RAM disk");
        check("clone the worker", libc::EAGAIN, &free, "ulimit -u");
        check("restrict with Landlock", libc::EOPNOTSUPP, &modules, "lsm=landlock,capability,yama");
        check("restrict with Landlock", libc::EOPNOTSUPP, &free, "lsm=");
        check("restrict with Landlock", libc::ENOSYS, &free, "Linux 6.2");
        check("restrict with Landlock", libc::ENOSYS, &docker, "seccomp profile");
        check("install seccomp filter", libc::EBUSY, &docker, "outside of it");
        check("install seccomp filter", libc::EINVAL, &free, "CONFIG_SECCOMP_FILTER");
        check("drop user id 0", libc::EPERM, &docker, "CAP_SETUID");
        check("a new step", libc::EPERM, &docker, "migraine doctor");
    }

    #[test]
    fn settings_can_be_read_here() {
        let settings = Settings::read();
        assert!(settings.release.is_some_and(|release| release.starts_with(|letter: char| letter.is_ascii_digit())));
        assert!(settings.max_user_namespaces.is_some());
    }
}
