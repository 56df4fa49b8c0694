//! A command that consumes the plugin.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(self) {}
}

fn main() {}
