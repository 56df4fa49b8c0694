//! The default does not parse.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(default = "many")] a: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
