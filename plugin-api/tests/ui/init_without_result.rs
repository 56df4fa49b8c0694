//! `#[init]` returns nothing.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[init]
    fn new() {}
}

fn main() {}
