//! A mark on what is no method.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    const N: u8 = 0;
}

fn main() {}
