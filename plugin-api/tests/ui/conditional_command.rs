//! A command under `cfg`.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[cfg(unix)]
    #[command]
    fn go(&mut self) {}
}

fn main() {}
