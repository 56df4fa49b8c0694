//! Nobody owns the text.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, name: &str) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
