//! `prio` for `priority`.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command", prio = 1)]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
