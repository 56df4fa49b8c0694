//! The host is borrowed.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, host: Host) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
