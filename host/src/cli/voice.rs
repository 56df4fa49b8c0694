//! What plugins say besides their answers, and the host of them, on standard error, each line with the plugin's name.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use migraine_plugin_api::LogLevel;

use super::Out;
use crate::ids::PluginName;
use crate::runtime::Voice;
use crate::sandbox::CallUsage;

/// The longest line that is kept back for its end, in bytes.
const LINE_MAX: usize = 4096;

/// Shows lines through [`Out`]; lower log levels only when more is wanted.
pub(super) struct Aside {
    out: Out,
    verbose: bool,
    /// The beginnings of lines whose ends have not come yet.
    begun: Mutex<BTreeMap<(PluginName, bool), Vec<u8>>>,
}

impl Aside {
    pub(super) fn new(out: &Out, verbose: bool) -> Self {
        Self { out: out.clone(), verbose, begun: Mutex::default() }
    }
}

impl Voice for Aside {
    fn stray(&self, plugin: &PluginName, is_stderr: bool, bytes: &[u8]) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = begun.entry((plugin.clone(), is_stderr)).or_default();
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            self.out.aside(plugin.as_str(), "output", String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        }
        if rest.len() > LINE_MAX {
            self.out.aside(plugin.as_str(), "output", &String::from_utf8_lossy(rest));
            rest.clear();
        }
    }

    fn log(&self, plugin: &PluginName, level: LogLevel, message: &str) {
        let (kind, shown) = match level {
            LogLevel::Debug => ("debug", self.verbose),
            LogLevel::Info => ("info", self.verbose),
            LogLevel::Warn => ("warning", true),
            _ => ("error", true),
        };
        if shown {
            self.out.aside(plugin.as_str(), kind, message);
        }
    }

    fn audit(&self, plugin: &PluginName, message: &str) {
        self.out.aside(plugin.as_str(), "host", message);
    }

    fn used(&self, plugin: &PluginName, usage: &CallUsage) {
        if self.verbose {
            self.out.aside(plugin.as_str(), "used", &usage.to_string());
        }
    }

    fn granted(&self, plugin: &PluginName, message: &str) {
        if self.verbose {
            self.out.aside(plugin.as_str(), "host", message);
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let begun = std::mem::take(self.begun.get_mut().unwrap_or_else(PoisonError::into_inner));
        for ((plugin, _), rest) in begun.into_iter().filter(|(_, rest)| !rest.is_empty()) {
            self.out.aside(plugin.as_str(), "output", &String::from_utf8_lossy(&rest));
        }
    }
}
