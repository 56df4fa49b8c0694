//! A command with a parameter.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    fn go<T>(&mut self, value: T) {}
}

fn main() {}
