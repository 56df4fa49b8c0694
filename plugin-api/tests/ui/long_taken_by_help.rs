//! `--help` is taken.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(long = "help")] a: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
