//! A quote that does not end.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "go 'fast"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
