//! The same letter again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(short = 'a')] a: u32, #[arg(short = 'a')] b: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
