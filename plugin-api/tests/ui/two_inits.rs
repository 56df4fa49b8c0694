//! Two ways to start.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[init]
    fn one() -> Self {
        P
    }

    #[init]
    fn two() -> Self {
        P
    }
}

fn main() {}
