//! The context comes first.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, name: String, ctx: &mut CommandContext) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
