//! The context of a hook.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, context: &Context) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
