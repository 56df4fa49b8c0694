//! No such policy.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command", on_failure = "abort")]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
