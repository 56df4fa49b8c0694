//! `#[init]` takes only the host.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[init]
    fn new(size: u32) -> Self {
        P
    }
}

fn main() {}
