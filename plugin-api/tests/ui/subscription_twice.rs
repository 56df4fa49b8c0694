//! The same event and pattern again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command")]
    #[hook(event = "post_command", priority = 1)]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
