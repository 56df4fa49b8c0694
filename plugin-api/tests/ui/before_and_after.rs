//! Both sides of the same plugin.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command", before("x"), after("x"))]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
