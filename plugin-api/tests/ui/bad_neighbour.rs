//! Not a plugin name.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command", before("My Plugin"))]
    fn watch(&mut self, context: &Context) -> HookResult {
        success()
    }
}

fn main() {}
