//! A command of another ABI.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    extern "C" fn go(&mut self) {}
}

fn main() {}
