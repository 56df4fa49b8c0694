//! A command is not unsafe.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    unsafe fn go(&mut self) {}
}

fn main() {}
