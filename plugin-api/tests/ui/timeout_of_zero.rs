//! No time at all.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command(timeout = 0)]
    fn go(&self) {}
}

fn main() {}
