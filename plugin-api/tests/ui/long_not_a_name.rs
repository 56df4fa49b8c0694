//! A space in an option.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(long = "a b")] a: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
