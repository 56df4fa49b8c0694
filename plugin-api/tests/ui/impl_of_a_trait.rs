//! The block implements a trait.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl Clone for P {
    fn clone(&self) -> Self {
        P
    }
}

fn main() {}
