//! Two commands of one name.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go_now(&mut self) {}

    #[command(name = "go-now")]
    fn other(&mut self) {}
}

fn main() {}
