//! `--help` is taken.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, help: bool) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
