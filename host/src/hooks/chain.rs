//! What one answer does to the rest of the chain and to the application. Pure.
//!
//! * A hook that fails, by error or by `success: false`, is treated by its subscription's policy.
//! * `continue_chain: false` ends the chain if the plugin has `task_write`; else it is ignored with a note.
//! * A veto is an answer with `success: false` and `result_data: {"veto": true}` to an event that takes one, from a
//!   plugin with the permission that takes. What was about to happen does not happen and the workflow ends. Any other
//!   veto is ignored with a note and the answer is an ordinary failure.

use std::fmt;

use migraine_plugin_api::{FailurePolicy, HookResult};
use serde_json::Value;

/// What an answer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What a failure does.
    pub policy: FailurePolicy,
    /// Whether the plugin has `task_write`.
    pub may_end_chain: bool,
    /// Whether the event takes a veto, and then whether the plugin has the permission for it.
    pub veto: VetoRule,
}

/// Whether a veto counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VetoRule {
    /// The event takes none.
    NotTaken,
    /// The event takes one, but not from this plugin.
    NotGranted,
    /// It counts.
    Taken,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next hook runs.
    GoOn,
    /// Later hooks of this event do not run.
    EndChain,
    /// The workflow fails.
    FailWorkflow,
    /// What was about to happen is refused.
    Veto,
}

/// Something an answer asked for and did not get; for the user and the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// It asked to end the chain without `task_write`.
    EndIgnored,
    /// It vetoed an event that takes no veto.
    VetoNotTaken,
    /// It vetoed without the permission.
    VetoNotGranted,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndIgnored => "asked to stop later hooks without `task_write`; ignored",
            Self::VetoNotTaken => "vetoed an event that takes no veto; ignored",
            Self::VetoNotGranted => "vetoed without the permission to; ignored",
        })
    }
}

/// The judgement of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What happens next.
    pub next: Next,
    /// Whether the user is warned.
    pub warn: bool,
    /// What was asked for in vain.
    pub notes: Vec<Note>,
}

/// Judges one answer; `None` is a call that failed without one.
#[must_use]
pub fn step(rules: Rules, answer: Option<&HookResult>) -> Step {
    let mut notes = Vec::new();
    let success = answer.is_some_and(|result| result.success);
    if !success && answer.is_some_and(asks_veto) {
        match rules.veto {
            VetoRule::Taken => return Step { next: Next::Veto, warn: false, notes },
            VetoRule::NotTaken => notes.push(Note::VetoNotTaken),
            VetoRule::NotGranted => notes.push(Note::VetoNotGranted),
        }
    }
    if !success && rules.policy == FailurePolicy::Fail {
        return Step { next: Next::FailWorkflow, warn: false, notes };
    }
    let mut next = Next::GoOn;
    if answer.is_some_and(|result| !result.continue_chain) {
        if rules.may_end_chain {
            next = Next::EndChain;
        } else {
            notes.push(Note::EndIgnored);
        }
    }
    Step { next, warn: !success && rules.policy != FailurePolicy::Ignore, notes }
}

fn asks_veto(result: &HookResult) -> bool {
    result.result_data.as_ref().and_then(|data| data.get("veto")) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use migraine_plugin_api::{failure, success};
    use serde_json::json;

    use super::*;

    // covers: S51, S143, S212, S214
    #[test]
    fn every_answer_has_one_judgement() {
        use FailurePolicy::{Fail, Ignore, Warn};
        use Next::{EndChain, FailWorkflow, GoOn, Veto};
        let check = |answer: Option<HookResult>, policy, may_end_chain, veto, next, warn, notes: &[Note]| {
            let step = step(Rules { policy, may_end_chain, veto }, answer.as_ref());
            assert_eq!(
                step,
                Step { next, warn, notes: notes.to_vec() },
                "{answer:?} {policy:?} {may_end_chain} {veto:?}"
            );
        };
        let veto = || Some(failure("no").with_data(json!({"veto": true})));
        let (not_taken, not_granted, taken) = (VetoRule::NotTaken, VetoRule::NotGranted, VetoRule::Taken);
        for policy in [Fail, Warn, Ignore] {
            check(Some(success()), policy, false, taken, GoOn, false, &[]);
            check(Some(success().stop_chain()), policy, true, taken, EndChain, false, &[]);
            check(Some(success().stop_chain()), policy, false, taken, GoOn, false, &[Note::EndIgnored]);
            check(Some(success().with_data(json!({"veto": true}))), policy, true, taken, GoOn, false, &[]);
            check(veto(), policy, false, taken, Veto, false, &[]);
        }
        for answer in [None, Some(failure("no")), Some(failure("no").with_data(json!({"veto": "true"})))] {
            check(answer.clone(), Fail, true, taken, FailWorkflow, false, &[]);
            check(answer.clone(), Warn, true, taken, GoOn, true, &[]);
            check(answer, Ignore, true, taken, GoOn, false, &[]);
        }
        check(Some(failure("no").stop_chain()), Warn, true, taken, EndChain, true, &[]);
        check(Some(failure("no").stop_chain()), Warn, false, taken, GoOn, true, &[Note::EndIgnored]);
        check(Some(failure("no").stop_chain()), Ignore, true, taken, EndChain, false, &[]);
        check(veto(), Warn, true, not_taken, GoOn, true, &[Note::VetoNotTaken]);
        check(veto(), Ignore, true, not_granted, GoOn, false, &[Note::VetoNotGranted]);
        check(veto(), Fail, true, not_granted, FailWorkflow, false, &[Note::VetoNotGranted]);
    }
}
