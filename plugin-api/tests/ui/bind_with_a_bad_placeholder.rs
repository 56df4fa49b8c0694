//! Braces around no name.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "go {{speed | sh}}"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
