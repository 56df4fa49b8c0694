//! Wires `migraine run`: the enabled plugins of the store are the subscribers, the run-time host calls them.

use std::sync::Arc;

use super::run::{RunArgs, run_workflow};
use super::voice::Aside;
use super::{Failure, Session, said};
use crate::code::Code;
use crate::hooks::Subscriber;
use crate::runtime::{Host, Settings};
use crate::store::Subscription;
use crate::sys::signal::{INTERRUPTED, note_interrupts};

pub(super) fn run(args: &RunArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let policy = home.policy()?;
    let subscribers = home.subscriptions()?.into_iter().map(|(plugin, Subscription { hooks, grants, .. })| {
        let granted = policy.in_force(&grants).0;
        Subscriber { plugin, hooks, granted }
    });
    let subscribers: Vec<Subscriber> = subscribers.collect();
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
