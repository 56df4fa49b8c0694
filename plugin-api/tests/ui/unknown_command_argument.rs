//! `about` is the doc comment.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command(about = "x", name = "y")]
    fn go(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
