//! No type to parse into.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, name: impl Into<String>) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
