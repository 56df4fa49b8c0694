//! A default that is computed.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(config(key = 1 + 1))]
impl P {}

fn main() {}
