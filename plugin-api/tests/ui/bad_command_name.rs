//! A space in a command.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command(name = "go now")]
    fn go(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
