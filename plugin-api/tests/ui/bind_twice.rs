//! The same subscription again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "go"), bind("post_command" = "go"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
