//! The event is missing.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(priority = 1)]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
