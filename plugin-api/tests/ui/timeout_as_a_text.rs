//! A limit written as a text.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command(timeout = "600")]
    fn go(&self) {}

    #[command(timeout = None)]
    fn stay(&self) {}
}

fn main() {}
