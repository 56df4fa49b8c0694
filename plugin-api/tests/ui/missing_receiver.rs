//! A command without `self`.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go() {}
}

fn main() {}
