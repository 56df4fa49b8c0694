//! A group is not closed.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command", pattern = "(cargo")]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
