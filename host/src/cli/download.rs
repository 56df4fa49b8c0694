//! Downloads as a person sees them: what the environment says about them, and a bar on a terminal.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Out;
use crate::fetch::{Certificates, DEADLINE, Proxies, Settings, Watch};
use crate::sys::signal::{INTERRUPTED, Noting};
use crate::text::display_safe;
use crate::url::Url;

/// The most cells of an address before the bar.
const ADDRESS_CELLS: usize = 60;

/// How downloads go.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct DownloadArgs {
    /// The most time that a download may take, in seconds [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl DownloadArgs {
    /// The settings of the environment.
    pub(super) fn settings(self) -> Settings {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(Into::into);
        Settings {
            deadline: self.timeout.map_or(DEADLINE, Duration::from_secs),
            proxies: Proxies::of_variables(|name| std::env::var(name).ok()),
            certificates: Certificates { file: path("SSL_CERT_FILE"), directory: path("SSL_CERT_DIR") },
            interrupted: Some(&INTERRUPTED),
            ..Settings::default()
        }
    }

    /// Who is told how a download goes on.
    pub(super) fn bar(self, out: &Out) -> Bar<'_> {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let is_terminal = io::stderr().is_terminal() && !is_dumb;
        Bar { out, is_quiet: self.quiet || out.is_json(), is_terminal, bar: None, noting: None }
    }
}

/// A bar on the terminal that standard error is; without one nothing is shown. A signal ends the download, and nothing but
/// that: before and afterwards it does what it always does, above all at a question.
pub(super) struct Bar<'a> {
    out: &'a Out,
    is_quiet: bool,
    /// Whether a bar can be drawn.
    is_terminal: bool,
    bar: Option<ProgressBar>,
    noting: Option<Noting>,
}

impl Watch for Bar<'_> {
    fn starts(&mut self) {
        self.noting = Noting::begin().ok();
    }

    fn moved(&mut self, to: &Url) {
        if !self.is_quiet {
            self.out.note(&format!("the server leads to {to}"));
        }
    }

    fn begun(&mut self, url: &Url, total: Option<u64>, there: u64) {
        if self.is_quiet || !self.is_terminal {
            return;
        }
        let (bar, form) = match total {
            Some(total) => (ProgressBar::new(total), "{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
            None => (ProgressBar::no_length(), "{prefix} {bytes} {bytes_per_sec}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(display_safe(&url.to_string(), ADDRESS_CELLS));
        bar.set_position(there);
        bar.reset_eta();
        self.bar = Some(bar);
    }

    fn there(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    fn ended(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.noting = None;
    }
}
