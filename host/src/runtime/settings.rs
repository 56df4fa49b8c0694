//! What an application decides about the calls of its plugins.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use migraine_plugin_api::Timeout;

use super::learn::Learner;
use super::services::Voice;
use crate::policy::Endpoint;
use crate::sandbox::CallLimits;
use crate::secrets::Secrets;

/// How plugins are run.
#[derive(Clone)]
pub struct Settings {
    /// Wall clock of one command, the plugin's start included, instead of the one it was granted or else 30 s.
    pub command_timeout: Option<Timeout>,
    /// Wall clock of one hook, the plugin's start included, instead of 30 s. A hook that runs a command has the time
    /// that the command was granted where that is longer.
    pub hook_timeout: Option<Timeout>,
    /// CPU time in each [`CPU_WINDOW`](crate::sandbox::CPU_WINDOW) of a call; the default is 10 s. The policy's cap holds.
    pub cpu: Duration,
    /// The user's home directories, of which no plugin may have certain parts; none, which is the default, stands for those
    /// of [`user_homes`](crate::store::user_homes).
    pub user_homes: Option<Vec<PathBuf>>,
    /// The working directory that commands are told of; the default is where the program was when this was made.
    pub working_directory: Option<PathBuf>,
    /// Ends the running call when it is set; whoever runs plugins clears it.
    pub interrupted: Option<&'static AtomicBool>,
    /// Whether standard output holds a report, so that commands print on standard error.
    pub stdout_is_taken: bool,
    /// Columns of the caller's terminal, if there is one.
    pub columns: Option<u16>,
    /// The proxy through which plugins are connected to public addresses where the policy names none; the default is none.
    /// Never taken from this program's environment: a plugin's way out is the user's explicit choice.
    pub upstream_proxy: Option<Endpoint>,
    /// Learns what a plugin needs instead of judging by what it was granted; the default is no.
    pub learner: Option<Arc<Learner>>,
    /// Values that only plugins with `user_auth` see; the default is none.
    pub secrets: Secrets,
    /// Where stray output, log lines and refusals go.
    pub voice: Arc<dyn Voice>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("command_timeout", &self.command_timeout).finish_non_exhaustive()
    }
}

impl Settings {
    /// The defaults.
    pub fn new(voice: Arc<dyn Voice>) -> Self {
        Self {
            command_timeout: None,
            hook_timeout: None,
            cpu: CallLimits::default().cpu,
            user_homes: None,
            working_directory: std::env::current_dir().ok(),
            interrupted: None,
            stdout_is_taken: false,
            columns: None,
            upstream_proxy: None,
            learner: None,
            secrets: Secrets::default(),
            voice,
        }
    }
}
