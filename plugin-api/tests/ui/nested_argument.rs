//! A list that may be absent.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, names: Option<Vec<String>>) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
