//! A command that is a hook.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    #[hook(event = "post-command")]
    fn go(&mut self) {}
}

fn main() {}
