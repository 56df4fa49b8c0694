//! `#[init]` has no arguments.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[init(now)]
    fn new() -> Self {
        P
    }
}

fn main() {}
