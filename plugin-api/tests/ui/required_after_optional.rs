//! Positions are filled from the left.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, a: Option<String>, b: String) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
