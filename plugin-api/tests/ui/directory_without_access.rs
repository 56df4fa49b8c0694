//! Neither read nor write.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("filesystem=./logs"))]
impl P {}

fn main() {}
