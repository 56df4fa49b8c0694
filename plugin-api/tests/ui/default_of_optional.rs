//! What may be left out has no default.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(default = "1")] a: Option<u32>) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
