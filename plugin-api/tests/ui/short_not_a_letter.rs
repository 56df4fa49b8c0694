//! A short option is a letter or a digit.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(short = '-')] a: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
