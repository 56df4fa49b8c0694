//! `#[arg]` has no `required`.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, #[arg(required = true, long)] a: u32) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
