//! End-to-end tests of the built program: real signed packages, throw-away homes, one module for each promise.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test says that it cannot go on")]

/// Listed attacks that the product itself stops.
mod attacks;
/// Attacks that a program of a plugin makes on the machine.
mod attacks_by_programs;
/// Listed attacks on downloads, and by names.
mod attacks_on_downloads;
/// Listed attacks on the proxy of a plugin's programs.
mod attacks_on_proxy;
/// What a careful reader would stop at in scripts is found, and what is harmless is not.
mod audit;
/// A subscription runs a command of its plugin with the variables it names, and nothing else.
mod bound;
/// Every call of a command reaches the plugin as it was typed, and its output comes back as it was written.
mod calling;
/// A plugin is connected to the endpoints that it was granted, and to no other.
mod connect;
/// Nothing is granted without somebody's consent.
mod consent;
/// Plugins that need each other come and go together, and only those that are meant.
mod dependencies;
/// A plugin sees the directories that it was granted, and no others.
mod directories;
/// What is shown is true: text of others is escaped, stands on one line, and asks nobody.
mod display;
/// The machine is examined, and what is missing is named.
mod doctor;
/// Every way to end has its code, its exit code and its reason.
mod endings;
/// A plugin sees the variables that it was granted, and no other.
mod environment;
/// A program runs for a plugin that was granted it, in a sandbox of its own.
mod exec;
/// Every kind of error has its exit code.
mod exits;
/// Hooks that fail, crash or hang do what their subscription says, and no more.
mod failures;
/// Plugins are fetched from servers.
mod fetch;
/// A plugin is installed from each form that it comes in.
mod forms;
/// Who only looks leaves nothing behind.
mod fresh;
/// Plugins built when an API version was frozen still load and run.
mod frozen;
/// What is damaged is found, and put right where that is possible.
mod fsck;
/// Directories are named one by one, by the user, and taken back.
mod grants;
/// Each worker stands in a control group of its own.
mod groups;
/// Hooks are called in order, see what they may see and do what they may do.
mod hooks;
/// Everything that a manifest says is shown, of what is installed and of files.
mod info;
/// Every verb speaks JSON.
mod json;
/// Keys are made, kept, handed over and taken back, and stock tools agree.
mod keys;
/// What a plugin needs is learned from a run, after a person's consent.
mod learn;
/// Plugins come, change and go; their data and settings stay.
mod lifecycle;
/// Plugins under development are linked, and shown as such.
mod links;
/// A lock names plugins byte for byte, and a bundle carries them.
mod locks;
/// What changes in a project changes its lock.
mod locks_follow;
/// What was decided about one maker's plugin is not decided about another's.
mod makers;
/// The management verbs.
mod manage;
/// Programs of a plugin reach the servers that it was granted, and no other.
mod network;
/// Hostile packages are refused as a whole, and leave nothing behind.
mod packages;
/// The policy files bind every install, every grant and every run.
mod policy;
/// A project's plugins are found while they are what was trusted.
mod projects;
/// The example plugins that are scripts do what their pages say.
mod script_examples;
/// Scripts become plugins in each of their forms, and nothing comes along that nobody has looked at.
mod script_files;
/// Limits of scripts hold for all that they start.
mod script_limits;
/// Programs of a plugin's own read what the caller pipes in, and ask the host in the words of their protocol.
mod script_protocols;
/// Scripts answer hooks and commands as libraries do.
mod scripts;
/// What scripts try, and the kernel refuses.
mod scripts_attacks;
/// Secrets reach the plugins that hold `user_auth`, and nobody else.
mod secrets;
/// Listed attacks on signatures and keys.
mod signed;
mod signed_files;
/// The store under many commands at once, on full disks and with odd homes.
mod store;
/// What a plugin stored stays its maker's.
mod stored;
/// What the first users were promised, by the letter.
mod stories;
/// A program that is stopped keeps its plugins and loses no time.
mod suspend;
/// Everybody has what is in the administrator's store, and only root changes it.
mod system_store;
/// That store while it is used and changed.
mod system_use;
/// What was changed after it was signed is refused.
mod tamper;
/// A package is for several machines, and is what its source makes.
mod targets;
/// A call has the time that it was granted, and a signal ends it in any case.
mod time;
/// Who may sign what.
mod trust;
mod ulimits;
/// Versions never go back or change in silence.
mod versions;
/// Workflows run, with variables, pre-checks and the events around each command.
mod workflow;
