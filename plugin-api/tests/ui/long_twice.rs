//! The same option again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(long)] a: u32, #[arg(long = "a")] b: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
