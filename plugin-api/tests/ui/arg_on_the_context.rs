//! The context is not typed by a user.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(long)] ctx: &CommandContext) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
