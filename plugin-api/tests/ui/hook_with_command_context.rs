//! The context of a command.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command")]
    fn watch(&mut self, ctx: &mut CommandContext) -> HookResult {
        success()
    }
}

fn main() {}
