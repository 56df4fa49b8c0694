//! Two ways to end.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[shutdown]
    fn one(&mut self) {}

    #[shutdown]
    fn two(&mut self) {}
}

fn main() {}
