//! No such permission.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("root"))]
impl P {}

fn main() {}
