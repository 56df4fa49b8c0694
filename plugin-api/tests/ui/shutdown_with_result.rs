//! `#[shutdown]` returns nothing.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[shutdown]
    fn stop(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
