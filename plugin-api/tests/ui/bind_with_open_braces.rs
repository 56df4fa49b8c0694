//! Braces that do not end.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "go {{speed"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
