//! Neither a unit struct, nor `Default`, nor `#[init]`.
use migraine_plugin_api::prelude::*;

struct P {
    size: u32,
}

#[plugin]
impl P {}

fn main() {}
