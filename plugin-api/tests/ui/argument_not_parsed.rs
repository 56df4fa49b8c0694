//! The type has no `FromStr`.
use migraine_plugin_api::prelude::*;

#[derive(Clone)]
struct Level;

struct P;

#[plugin]
impl P {
    #[command]
    fn go(&mut self, _level: Level) {}
}

fn main() {}
