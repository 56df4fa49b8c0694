//! A subscription to nothing.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
