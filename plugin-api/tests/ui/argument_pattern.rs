//! A pattern has no name to show.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, (a, b): Pair) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
