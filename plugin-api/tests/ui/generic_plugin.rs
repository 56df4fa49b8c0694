//! The type has a parameter.
use migraine_plugin_api::prelude::*;

struct P<T>(T);

#[plugin]
impl<T> P<T> {}

fn main() {}
