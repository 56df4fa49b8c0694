//! Every defect is reported, not the first only.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("root"), nme = "x")]
impl P {
    #[command(name = "A")]
    fn go(&mut self, name: &str) {}

    #[hook]
    fn watch(&mut self) {}

    #[init]
    fn new() {}
}

fn main() {}
