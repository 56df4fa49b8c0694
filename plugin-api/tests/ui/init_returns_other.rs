//! `#[init]` returns another type.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[init]
    fn new() -> u32 {
        0
    }
}

fn main() {}
