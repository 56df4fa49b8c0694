//! A command has no result to show.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self) -> u32 {
        0
    }
}

fn main() {}
