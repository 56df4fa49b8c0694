//! Downloads as a person sees them: what the environment says about them, and a bar on a terminal.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, Out};
use crate::code::Code;
use crate::fetch::{Certificates, Proxies, Settings, Watch};
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
    /// Acts with the settings of the environment, watched by a person if there is one. A signal ends the download, and
    /// nothing but that: afterwards it does what it always does.
    pub(super) fn with<T>(
        self,
        out: &Out,
        act: impl FnOnce(&Settings, &mut dyn Watch) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut settings = of_environment();
        if let Some(seconds) = self.timeout {
            settings.deadline = Duration::from_secs(seconds);
        }
        let failed = |error| Failure::new(Code::Io, format!("cannot watch for signals: {error}"), None);
        let noting = Noting::begin().map_err(failed)?;
        settings.interrupted = Some(&INTERRUPTED);
        let mut bar = Bar::new(out, self.quiet);
        let done = act(&settings, &mut bar);
        drop(noting);
        // One that came too late to end the download would be lost.
        if done.is_ok() && INTERRUPTED.load(Ordering::SeqCst) {
            return Err(Failure::new(Code::Interrupted, "interrupted", None));
        }
        done
    }
}

/// `https_proxy`, `no_proxy` and their like, `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn of_environment() -> Settings {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(Into::into);
    Settings {
        proxies: Proxies::of_variables(|name| std::env::var(name).ok()),
        certificates: Certificates { file: path("SSL_CERT_FILE"), directory: path("SSL_CERT_DIR") },
        ..Settings::default()
    }
}

/// A bar on the terminal that standard error is; without one nothing is shown.
struct Bar<'a> {
    out: &'a Out,
    is_quiet: bool,
    bar: Option<ProgressBar>,
}

impl<'a> Bar<'a> {
    fn new(out: &'a Out, is_quiet: bool) -> Self {
        Self { out, is_quiet: is_quiet || out.is_json(), bar: None }
    }
}

impl Watch for Bar<'_> {
    fn moved(&mut self, to: &Url) {
        if !self.is_quiet {
            self.out.note(&format!("the server leads to {to}"));
        }
    }

    fn begun(&mut self, url: &Url, total: Option<u64>, there: u64) {
        if self.is_quiet || !io::stderr().is_terminal() {
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
    }
}
