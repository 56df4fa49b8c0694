//! A space in an event.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post command")]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
