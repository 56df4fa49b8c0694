//! A command that is not declared.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "went --fast"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
