//! The method is no command.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    fn go(&self, #[arg(long)] a: u32) {}
}

fn main() {}
