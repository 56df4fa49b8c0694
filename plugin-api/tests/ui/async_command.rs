//! A command is not async.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin]
impl P {
    #[command]
    async fn go(&mut self) {}
}

fn main() {}
