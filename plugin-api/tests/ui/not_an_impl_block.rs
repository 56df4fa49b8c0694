//! The attribute is on the type.
use migraine_plugin_api::prelude::*;

#[plugin]
struct P;

fn main() {}
