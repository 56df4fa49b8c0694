//! The context again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, a: &CommandContext, b: &CommandContext) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
