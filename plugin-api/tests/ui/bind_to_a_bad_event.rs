//! A name that no event has.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post command" = "go"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
