//! The context is borrowed.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, ctx: CommandContext) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
