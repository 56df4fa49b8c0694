//! Bash: which commands a script runs, what it makes of text, and where its redirections lead.

use tree_sitter::{Node, Tree};

use super::{Findings, Rule, first_error, line_of, named_place, text_of, visit};

/// Commands that reach the network.
const NETWORK: [&str; 15] = [
    "curl", "wget", "nc", "ncat", "netcat", "socat", "telnet", "ssh", "scp", "sftp", "rsync", "ftp", "dig", "nslookup",
    "host",
];
/// Commands that ask for rights, or change the system.
const PRIVILEGED: [&str; 30] = [
    "sudo",
    "su",
    "doas",
    "pkexec",
    "chown",
    "chroot",
    "mount",
    "umount",
    "insmod",
    "modprobe",
    "mkfs",
    "fdisk",
    "crontab",
    "at",
    "systemctl",
    "service",
    "iptables",
    "nft",
    "useradd",
    "usermod",
    "passwd",
    "visudo",
    "setcap",
    "unshare",
    "nsenter",
    "docker",
    "podman",
    "gdb",
    "strace",
    "reboot",
];
/// Commands that run other text as code, or as something that stays behind.
const INTERPRETERS: [&str; 14] =
    ["bash", "sh", "dash", "zsh", "ksh", "python", "python3", "perl", "ruby", "node", "php", "lua", "xterm", "nohup"];
/// Commands that run the command which follows.
const PREFIXES: [&str; 9] = ["command", "builtin", "exec", "env", "nice", "timeout", "xargs", "time", "stdbuf"];
/// Variables that change what the shell or the programs that it starts load.
const STEERING: [&str; 10] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "BASH_ENV",
    "ENV",
    "PROMPT_COMMAND",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "PERL5OPT",
];

/// Where the system keeps what is its own.
const SYSTEM: [&str; 8] = ["/etc/", "/usr/", "/bin/", "/sbin/", "/lib/", "/boot/", "/sys/", "/root/"];
/// Devices that are overwritten, not written to.
const DEVICES: [&str; 7] = ["/dev/sd", "/dev/nvme", "/dev/vd", "/dev/hd", "/dev/mapper", "/dev/kmsg", "/dev/mem"];

/// Writes what a syntax tree shows.
pub(super) fn check(tree: &Tree, text: &str, findings: &mut Findings) {
    if let Some(line) = first_error(tree) {
        findings.add(line, Rule::Syntax, "it is no Bash that could be parsed".to_owned());
    }
    let mut script = Script { text, findings };
    visit(tree, |node, _| script.look(node));
}

struct Script<'a> {
    text: &'a str,
    findings: &'a mut Findings,
}

impl<'a> Script<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        text_of(node, self.text)
    }

    fn add(&mut self, node: Node<'_>, rule: Rule, message: impl Into<String>) {
        self.findings.add(line_of(node), rule, message.into());
    }

    fn look(&mut self, node: Node<'_>) {
        match node.kind() {
            "command" => self.look_at_command(node),
            "file_redirect" => self.look_at_redirect(node),
            "variable_assignment" => self.look_at_assignment(node),
            "function_definition" => self.look_at_function(node),
            "word" | "string_content" | "raw_string" | "heredoc_body" | "concatenation" => {
                let text = self.text(node);
                if let Some(place) = named_place(text) {
                    self.add(node, Rule::Place, format!("it names `{place}`"));
                }
                if text.contains("/dev/tcp/") || text.contains("/dev/udp/") {
                    self.add(node, Rule::Network, "Bash connects to what is named below /dev/tcp and /dev/udp");
                }
            }
            _ => {}
        }
    }

    /// The words of a command: its name, and its arguments.
    fn words<'t>(&self, command: Node<'t>) -> Vec<Node<'t>> {
        let mut walk = command.walk();
        let name = command.child_by_field_name("name").and_then(|name| name.named_child(0));
        name.into_iter().chain(command.children_by_field_name("argument", &mut walk)).collect()
    }

    /// The text of a word, where no expansion is part of it: `c"ur"l` and `c\url` are `curl`.
    fn literal(&self, node: Node<'_>) -> Option<String> {
        let text = self.text(node);
        match node.kind() {
            "word" | "number" => Some(text.replace('\\', "")),
            "raw_string" => Some(text.trim_matches('\'').to_owned()),
            "string" | "concatenation" => {
                let mut walk = node.walk();
                node.named_children(&mut walk).map(|part| self.literal(part)).collect()
            }
            "string_content" => Some(text.to_owned()),
            _ => None,
        }
    }

    fn look_at_command(&mut self, node: Node<'_>) {
        let mut words = self.words(node);
        let mut literals: Vec<Option<String>> = words.iter().map(|word| self.literal(*word)).collect();
        // What runs is behind `env -i A=1`.
        while literals.first().is_some_and(|first| first.as_deref().is_some_and(|first| PREFIXES.contains(&first))) {
            let own = |word: &Option<String>| {
                word.as_ref().is_some_and(|word| word.starts_with('-') || word.contains('=') || is_number(word))
            };
            let end = 1 + literals.iter().skip(1).take_while(|word| own(word)).count();
            words.drain(..end);
            literals.drain(..end);
        }
        let (Some(first), Some(name)) = (words.first(), literals.first()) else { return };
        let Some(name) = name else {
            // A function that runs what it was given is told by whoever calls it.
            if !matches!(self.text(*first), "\"$@\"" | "\"${@}\"") {
                self.add(node, Rule::Dynamic, "the name of a command is put together while it runs");
            }
            return;
        };
        let name = name.rsplit('/').next().unwrap_or(name);
        let arguments = &literals[1..];
        if NETWORK.contains(&name) {
            self.add(node, Rule::Network, format!("`{name}` reaches the network"));
        } else if PRIVILEGED.contains(&name) {
            self.add(node, Rule::Privilege, format!("`{name}` changes the system, or asks for its rights"));
        } else if INTERPRETERS.contains(&name) {
            self.add(node, Rule::Dynamic, format!("`{name}` runs other code, or stays behind"));
        }
        self.look_at_arguments(node, name, arguments, &words[1..]);
    }

    fn look_at_arguments(&mut self, node: Node<'_>, name: &str, arguments: &[Option<String>], words: &[Node<'_>]) {
        let has = |wanted: &dyn Fn(&str) -> bool| arguments.iter().flatten().any(|argument| wanted(argument));
        let system = |argument: &str| SYSTEM.iter().any(|place| argument.starts_with(place));
        match name {
            "eval" => self.add(node, Rule::Dynamic, "`eval` runs text as code"),
            "source" | "." => {
                let safe = |argument: &Option<String>| argument.as_ref().is_some_and(|path| !path.starts_with('/'));
                if !arguments.first().is_some_and(safe) {
                    self.add(node, Rule::Dynamic, "it runs a file that is not its own");
                }
            }
            "rm" | "shred" => {
                let many = |option: &str| {
                    option == "--recursive"
                        || (option.starts_with('-') && !option.starts_with("--") && option.contains(['r', 'R']))
                };
                if name == "shred" || (has(&many) && words.iter().any(|word| self.is_too_much(*word))) {
                    self.add(node, Rule::Destructive, "it removes what it cannot know");
                } else if has(&system) {
                    self.add(node, Rule::Place, "it removes files of the system");
                }
            }
            "find" if has(&|argument| argument == "-delete") && has(&|argument| argument == "/") => {
                self.add(node, Rule::Destructive, "it removes what it cannot know");
            }
            "dd" if has(&|argument| argument.starts_with("of=/dev/")) => {
                self.add(node, Rule::Destructive, "it overwrites a device");
            }
            "chmod" if has(&opens) => {
                self.add(node, Rule::Privilege, "it opens a file to everybody, or to its owner's rights");
            }
            "kill" | "killall" | "pkill" if has(&|argument| matches!(argument, "-1" | "1")) || name != "kill" => {
                self.add(node, Rule::Destructive, "it ends processes that it cannot know");
            }
            "enable" if has(&|argument| argument.starts_with("-f")) => {
                self.add(node, Rule::Interpreter, "it loads a library into the shell");
            }
            "trap" if has(&|argument| matches!(argument, "DEBUG" | "RETURN")) => {
                self.add(node, Rule::Interpreter, "it watches the shell");
            }
            "cp" | "mv" | "ln" | "tee" | "install"
                if arguments.last().is_some_and(|last| last.as_deref().is_some_and(system)) =>
            {
                self.add(node, Rule::Place, "it writes to the system's own directories");
            }
            _ => {}
        }
    }

    /// `/`, the home directory, or a variable that may be empty, with everything below.
    fn is_too_much(&self, word: Node<'_>) -> bool {
        let text = self.text(word).replace('"', "");
        let whole = ["/", "/*", "~", "~/", "~/*", "$HOME", "${HOME}", "$HOME/", "$HOME/*", ".", "./*", "..", "*"];
        let starts_open = word.kind() == "simple_expansion" || self.text(word).starts_with('$');
        whole.contains(&text.as_str()) || starts_open || (text.starts_with('$') && text.ends_with("/*"))
    }

    fn look_at_redirect(&mut self, node: Node<'_>) {
        let Some(to) = node.child_by_field_name("destination").and_then(|to| self.literal(to)) else { return };
        let writes = self.text(node).contains('>');
        if writes && DEVICES.iter().any(|device| to.starts_with(device)) {
            self.add(node, Rule::Destructive, "it overwrites a device");
        } else if writes && SYSTEM.iter().any(|place| to.starts_with(place)) {
            self.add(node, Rule::Place, "it writes to the system's own directories");
        }
    }

    fn look_at_assignment(&mut self, node: Node<'_>) {
        let name = node.child_by_field_name("name").map(|name| self.text(name)).unwrap_or_default();
        if STEERING.contains(&name) {
            self.add(node, Rule::Interpreter, format!("`{name}` changes what other programs load"));
        }
    }

    /// A function that runs itself twice, in a pipe or behind its own back, fills the machine.
    fn look_at_function(&mut self, node: Node<'_>) {
        let (Some(name), Some(body)) = (node.child_by_field_name("name"), node.child_by_field_name("body")) else {
            return;
        };
        let (name, body) = (self.text(name), self.text(body));
        let calls = body.split(|sign: char| sign.is_whitespace() || "|&;(){}".contains(sign));
        let calls = calls.filter(|word| *word == name).count();
        if calls >= 2 && body.contains(['|', '&']) {
            self.add(node, Rule::Destructive, format!("`{name}` starts itself again and again"));
        }
    }
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
}

/// Modes that let everybody write, or take over the rights of the owner.
fn opens(mode: &str) -> bool {
    let octal = !mode.is_empty() && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if octal {
        return (mode.len() == 4 && !mode.starts_with('0') && !mode.starts_with('1'))
            || mode.ends_with(['2', '3', '6', '7']);
    }
    mode.split_once('+')
        .is_some_and(|(who, what)| what.contains('s') || (who.contains(['o', 'a']) && what.contains('w')))
}
