//! `=` where parentheses belong.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook = "post-command"]
    fn go(&mut self) {}
}

fn main() {}
