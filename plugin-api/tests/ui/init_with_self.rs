//! `#[init]` has nothing to borrow yet.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[init]
    fn new(&self) -> Self {
        P
    }
}

fn main() {}
