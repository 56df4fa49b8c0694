//! Nobody types arguments of a hook.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command")]
    fn watch(&mut self, name: String) -> HookResult {
        success()
    }
}

fn main() {}
