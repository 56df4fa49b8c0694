//! The plugin cannot move to the thread that runs it.
use migraine_plugin_api::prelude::*;

struct P(std::rc::Rc<u8>);

#[plugin]
impl P {
    #[init]
    fn new() -> Self {
        P(std::rc::Rc::new(0))
    }
}

fn main() {}
