//! The same permission again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("network=a:1", "network=a:1"))]
impl P {}

fn main() {}
