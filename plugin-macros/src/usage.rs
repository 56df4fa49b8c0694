//! The usage line of a command, for the manifest and for `--help`.

use crate::ast::{Param, ParamKind, Shape};

/// `migraine plugin run PLUGIN COMMAND [OPTIONS] --needed <NEEDED> <A> [B] [REST]...`
pub(crate) fn line(plugin: &str, command: &str, params: &[Param]) -> String {
    let mut words = vec![format!("migraine plugin run {plugin} {command}")];
    let (options, positions): (Vec<_>, Vec<_>) = params
        .iter()
        .filter_map(|param| match &param.kind {
            ParamKind::Value(shape, _) => Some((param, *shape)),
            _ => None,
        })
        .partition(|(param, _)| param.is_option());
    let needed = |param: &Param, shape| shape == Shape::One && param.args.default.is_none();
    if options.iter().any(|(param, shape)| !needed(param, *shape)) {
        words.push("[OPTIONS]".to_owned());
    }
    for (param, shape) in options {
        if needed(param, shape) {
            words.push(format!("--{} <{}>", param.long(), value_name(param)));
        }
    }
    for (param, shape) in positions {
        let value = value_name(param);
        words.push(match shape {
            _ if needed(param, shape) => format!("<{value}>"),
            Shape::Many => format!("[{value}]..."),
            _ => format!("[{value}]"),
        });
    }
    words.join(" ")
}

/// How a value is called in help and usage.
pub(crate) fn value_name(param: &Param) -> String {
    param.name().to_uppercase()
}
