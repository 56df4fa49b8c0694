//! Not an answer.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[hook(event = "post-command")]
    fn watch(&mut self) -> bool {
        true
    }
}

fn main() {}
