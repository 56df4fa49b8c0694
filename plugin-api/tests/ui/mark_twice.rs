//! The same mark again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    #[command]
    fn go(&mut self) {}
}

fn main() {}
