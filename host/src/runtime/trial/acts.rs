//! What the lines mean that a script or program prints of its tries, and what the kernel says of its process.

use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::text::display_safe;
use crate::wire::{Layer, Probe};

/// What nothing sees of the machine that was granted nothing.
pub(super) const PLACES: [&str; 6] = ["/etc/passwd", "/etc/group", "/var", "/sys", "/home", "/root"];

/// Whether it is there for this process: it is looked at as a file is, without opening it.
pub(super) fn is_there(place: &str) -> bool {
    fs::symlink_metadata(Path::new(place)).is_ok()
}

/// The tries, each on a line of its own: its name, a tab, what came of it.
pub(super) fn read(lines: &[u8]) -> Vec<Probe> {
    String::from_utf8_lossy(lines).lines().filter_map(|line| line.split_once('\t')).filter_map(probe).collect()
}

fn probe((name, outcome): (&str, &str)) -> Option<Probe> {
    if let Some(value) = outcome.strip_prefix('=') {
        return attribute(name, value);
    }
    if let Some(place) = name.strip_prefix("look ") {
        return Some(tried(Layer::Namespaces, &format!("look at {}", display_safe(place, 80)), outcome));
    }
    let (layer, act) = match name {
        "write" => (Layer::Namespaces, "write into the root"),
        "connect" => (Layer::Namespaces, "connect past the proxy"),
        "list" => (Layer::Landlock, "list the root"),
        "other" => (Layer::Landlock, "run another program"),
        "descriptor" => (Layer::Rlimits, "open one descriptor too many"),
        "file" => (Layer::Rlimits, "make too large a file"),
        "memory" => (Layer::Rlimits, "take too much memory"),
        "code" => (Layer::Seccomp, "turn data into code"),
        "anonymous" => (Layer::Seccomp, "make a file without a name"),
        "process" => (Layer::Seccomp, "make a process"),
        "socket" => {
            let tried = tried(Layer::Seccomp, "make a socket", outcome);
            // A shell may have been built without them; any other error is that of a socket which was made.
            return (tried.outcome != "ENOENT").then(|| only_denied(tried));
        }
        // The name leads nowhere: any other error is that of a kernel that looked for it.
        "start" => return Some(only_denied(tried(Layer::Seccomp, "start a program", outcome))),
        _ => return None,
    };
    Some(tried(layer, act, outcome))
}

/// Only a denial is a refusal.
fn only_denied(tried: Probe) -> Probe {
    let refused = ["EACCES", "EPERM"].contains(&tried.outcome.as_str());
    Probe { refused, ..tried }
}

fn tried(layer: Layer, act: &str, outcome: &str) -> Probe {
    let refused = outcome != "worked";
    let outcome = if refused { name_of(outcome) } else { "it worked".to_owned() };
    Probe { layer, act: act.to_owned(), outcome, refused }
}

/// An attribute that stands for the acts it rules out.
fn attribute(name: &str, value: &str) -> Option<Probe> {
    let (act, what, refused) = match name {
        "user" => ("be user id 0", "user id", value.split(' ').all(|id| id.parse().is_ok_and(|id: u32| id != 0))),
        // A script is the first process of its namespace, and the parent of a program is.
        "first" => ("see other processes", "the first process is", value == "1"),
        _ => return None,
    };
    let outcome = format!("{what} {}", display_safe(value.split(' ').next().unwrap_or_default(), 20));
    Some(Probe { layer: Layer::Namespaces, act: act.to_owned(), outcome, refused })
}

/// As errno(3) writes it, where it is the system's own text: a shell says what it tried before it.
fn name_of(outcome: &str) -> String {
    let reason = outcome.rsplit(": ").next().unwrap_or(outcome).trim();
    let is_said = |number: &i32| {
        let text = io::Error::from_raw_os_error(*number).to_string();
        text.split(" (os error").next() == Some(reason)
    };
    match (1..134).find(is_said) {
        Some(number) => format!("{:?}", Errno::from_raw(number)),
        None => display_safe(reason, 80),
    }
}

/// What the kernel says of a process, where it can be asked (proc_pid_status(5)).
pub(super) fn of_process(pid: i32) -> Option<Vec<Probe>> {
    of_status(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn of_status(status: &str) -> Option<Vec<Probe>> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
    let none = sets.into_iter().all(|set| field(set).is_some_and(|set| set.bytes().all(|digit| digit == b'0')));
    let (privileges, mode) = (field("NoNewPrivs:")?, field("Seccomp:")?);
    let probe = |layer, act: &str, outcome: String, refused| Probe { layer, act: act.to_owned(), outcome, refused };
    let held = if none { "none is left" } else { "some are" };
    let gained = format!("no_new_privs is {}", display_safe(privileges, 4));
    Some(vec![
        probe(Layer::Privileges, "hold a capability", held.to_owned(), none),
        probe(Layer::Privileges, "gain rights from a program", gained, privileges == "1"),
        probe(Layer::Seccomp, "make unfiltered system calls", format!("mode {}", display_safe(mode, 4)), mode == "2"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(line: &str) -> Probe {
        read(line.as_bytes()).pop().unwrap()
    }

    #[test]
    fn every_line_of_the_scripts_means_something() {
        let python = regex::Regex::new(r#"(?:attempt|say)\(f?"(\w+)"#).unwrap();
        let shell = regex::Regex::new(r#"__(?:try|say) "?(\w+)"#).unwrap();
        let names = |pattern: &regex::Regex, text: &'static str| -> Vec<&'static str> {
            pattern.captures_iter(text).map(|found| found.get(1).unwrap().as_str()).collect()
        };
        let all = [names(&python, super::super::PYTHON_ACTS), names(&shell, super::super::SHELL_ACTS)].concat();
        assert!(all.len() > 20, "{all:?}");
        for name in all {
            let line = match name {
                "user" | "first" => format!("{name}\t=1"),
                "look" => "look /x\tENOENT".to_owned(),
                // The host itself says what came of it.
                "leave" => continue,
                _ => format!("{name}\tEACCES"),
            };
            assert!(read_one(&line).refused, "{name}");
        }
    }

    #[test]
    fn what_worked_is_not_refused() {
        for name in ["look /etc/passwd", "write", "list", "descriptor", "file", "memory", "socket", "process", "start"]
        {
            assert!(!read_one(&format!("{name}\tworked")).refused, "{name}");
        }
        assert!(!read_one("user\t=0 0").refused && !read_one("user\t=1000 0").refused);
        assert!(!read_one("first\t=12").refused && !read_one("user\t=").refused);
        // It was made, and could not be used.
        assert!(!read_one("socket\tbash: /dev/udp/127.0.0.1/9: Network is unreachable").refused);
        assert_eq!(read(b"socket\tbash: /dev/udp/127.0.0.1/9: No such file or directory\n"), []);
        // It was looked for.
        assert!(!read_one("start\tbash: line 4: /dev/code/none: No such file or directory").refused);
        assert!(read_one("start\tbash: line 4: /dev/code/none: Permission denied").refused);
    }

    #[test]
    fn reasons_are_named_as_the_system_names_them() {
        let outcome = |text: &str| read_one(&format!("write\t{text}")).outcome;
        assert_eq!(outcome("bash: line 19: /probe: Read-only file system"), "EROFS");
        assert_eq!(outcome("EACCES"), "EACCES");
        assert_eq!(outcome("sh: 3: cannot open /x: No such file"), "No such file");
    }

    #[test]
    fn the_status_of_a_process_is_read() {
        let none = "0000000000000000";
        let status = |bounding: &str, privileges, mode| {
            format!(
                "Name:\tx\nCapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{bounding}\nCapAmb:\t{none}\n\
                 NoNewPrivs:\t{privileges}\nSeccomp:\t{mode}\nSeccomp_filters:\t1\n"
            )
        };
        let refused = |status: String| of_status(&status).unwrap().iter().map(|act| act.refused).collect::<Vec<_>>();
        assert_eq!(refused(status(none, 1, 2)), [true, true, true]);
        assert_eq!(refused(status("000001ffffffffff", 0, 0)), [false, false, false]);
        assert_eq!(of_status("Name:\tx\n"), None);
    }
}
