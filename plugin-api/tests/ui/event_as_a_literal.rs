//! The event has a key.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook("post-command")]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
