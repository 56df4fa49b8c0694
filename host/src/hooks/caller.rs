//! The host's run-time as the one that calls hooks.

use migraine_plugin_api::{Context, HookResult};

use super::dispatch::{CallFailure, HookCaller};
use crate::code::Coded as _;
use crate::ids::PluginName;
use crate::runtime::{CallError, Host};
use crate::secrets::Secrets;

impl HookCaller for Host {
    fn call(&mut self, plugin: &PluginName, context: &Context) -> Result<HookResult, CallFailure> {
        self.hook(plugin, context).map_err(|error| failure(&error))
    }

    fn keep_secret(&mut self, secrets: &Secrets) {
        self.set_secrets(secrets.clone());
    }

    fn command(&mut self, plugin: &PluginName, words: &[String]) -> Result<(), CallFailure> {
        let (command, args) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let invocation = self.invocation(command, args.to_vec());
        self.bound_command(plugin, &invocation).map_err(|error| failure(&error))
    }
}

fn failure(error: &CallError) -> CallFailure {
    CallFailure { code: error.code(), message: error.to_string(), help: error.help() }
}
