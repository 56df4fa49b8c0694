//! A command that a variable names.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(bind("post-command" = "{{command}} fast"))]
impl P {
    #[command]
    fn go(&self) {}
}

fn main() {}
