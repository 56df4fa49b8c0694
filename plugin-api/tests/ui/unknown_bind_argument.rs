//! An argument that `bind` does not take.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "go", event = "pre-command"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
