//! Wires `migraine run`: the enabled plugins of the store are the subscribers, the run-time host calls them.

use std::sync::Arc;

use migraine_plugin_api::HookSpec;

use super::plugin::project;
use super::run::{RunArgs, run_workflow};
use super::voice::Aside;
use super::{Failure, Session, said};
use crate::code::Code;
use crate::hooks::Subscriber;
use crate::manage::{check_link, check_lock};
use crate::package::dependency::{Need, needs};
use crate::runtime::{Host, Settings};
use crate::store::Subscription;
use crate::sys::signal::{INTERRUPTED, note_interrupts};

pub(super) fn run(args: &RunArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let policy = home.policy()?;
    if args.locked {
        check_lock(&home, &project()?)?;
    }
    let mut subscribers = Vec::new();
    for (plugin, Subscription { hooks, grants, dependencies, digest, link, .. }) in home.subscriptions()? {
        check_link(&plugin, link.as_deref(), &digest)?;
        let granted = policy.in_force(&grants).0;
        subscribers.push(Subscriber { hooks: loaded_after(hooks, &needs(&dependencies)), plugin, granted });
    }
    let failed = |error| Failure::new(Code::Io, format!("cannot watch for signals: {error}"), None);
    note_interrupts().map_err(failed)?;
    let mut settings = Settings::new(Arc::new(Aside::new(&session.out, session.verbose)));
    settings.hook_timeout = args.hook_timeout;
    settings.interrupted = Some(&INTERRUPTED);
    settings.stdout_is_taken = session.out.is_json();
    settings.columns = session.out.columns();
    let mut host = Host::new(home, settings);
    let done = run_workflow(args, session.out.is_json(), subscribers, &mut host, &INTERRUPTED);
    host.leave();
    said(done?)
}

/// What a plugin needs is loaded first: its hooks come before those of the plugin, where their priorities are the same.
fn loaded_after(mut hooks: Vec<HookSpec>, needs: &[Need]) -> Vec<HookSpec> {
    for hook in &mut hooks {
        let named = |name: &String| hook.before.contains(name);
        let first: Vec<String> = needs.iter().map(|need| need.name.to_string()).filter(|name| !named(name)).collect();
        hook.after.extend(first);
    }
    hooks
}
