//! The host's run-time as the one that calls hooks.

use migraine_plugin_api::{Context, HookResult};

use super::dispatch::{CallFailure, HookCaller};
use crate::code::Coded as _;
use crate::ids::PluginName;
use crate::runtime::Host;

impl HookCaller for Host {
    fn call(&mut self, plugin: &PluginName, context: &Context) -> Result<HookResult, CallFailure> {
        self.hook(plugin, context).map_err(|error| CallFailure {
            code: error.code(),
            message: error.to_string(),
            help: error.help(),
        })
    }
}
