//! More than 32 bits.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command", priority = 5_000_000_000)]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
