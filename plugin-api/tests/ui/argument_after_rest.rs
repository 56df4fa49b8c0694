//! Nothing is left for it.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, a: Vec<String>, b: Option<String>) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
