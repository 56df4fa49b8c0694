//! What is handed to plugins and what they say, without the secrets that are not for whoever reads it.
//!
//! A plugin that holds `user_auth` is handed everything as it is. What plugins say is masked whoever says it: logs, messages
//! and errors end up where anybody may read them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::{Arc, Mutex, PoisonError};

use migraine_plugin_api::{Context, HookResult, Invocation, LogLevel, Permission, PermissionKind, PluginError};
use serde_json::Value;

use super::services::Voice;
use crate::controls::{Check, makes};
use crate::ids::PluginName;
use crate::sandbox::CallUsage;
use crate::secrets::{Cutter, MASK, Secrets};
use crate::wire::Variable;

/// The word in a context's `withheld` that says that values in other fields are masked.
const WITHHELD: &str = "secrets";

/// The secrets to be masked in what plugins with these permissions are handed; `None` where they see everything.
pub(super) fn kept_from<'a>(secrets: &'a Secrets, permissions: &[Permission]) -> Option<&'a Secrets> {
    let wanted = Permission::bare(PermissionKind::UserAuth);
    let sees = permissions.iter().any(|held| held.covers(&wanted)) || !makes(Check::Secret);
    (!secrets.is_empty() && !sees).then_some(secrets)
}

/// Masks texts in place and remembers whether there was anything to mask.
struct Masking<'a> {
    secrets: &'a Secrets,
    masked: bool,
}

impl<'a> Masking<'a> {
    fn with(secrets: &'a Secrets) -> Self {
        Self { secrets, masked: false }
    }

    fn text(&mut self, text: &mut String) {
        if let Cow::Owned(masked) = self.secrets.mask(text) {
            *text = masked;
            self.masked = true;
        }
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if self.secrets.mask(&number.to_string()) == MASK {
                    *value = MASK.into();
                    self.masked = true;
                }
            }
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => {
                for (mut key, mut item) in std::mem::take(map) {
                    self.text(&mut key);
                    self.value(&mut item);
                    map.insert(key, item);
                }
            }
        }
    }

    fn map(&mut self, map: &mut BTreeMap<String, Value>) {
        for value in map.values_mut() {
            self.value(value);
        }
    }
}

/// An event as a plugin may see it.
pub(super) fn context(secrets: &Secrets, context: &Context) -> Context {
    let mut shown = context.clone();
    let mut masking = Masking::with(secrets);
    if let Some(workflow) = &mut shown.workflow {
        masking.text(&mut workflow.name);
    }
    if let Some(step) = &mut shown.step {
        masking.text(&mut step.name);
        masking.text(&mut step.description);
    }
    if let Some(command) = &mut shown.command {
        masking.text(&mut command.original);
        masking.text(&mut command.resolved);
    }
    for value in shown.variables.values_mut() {
        masking.text(value);
    }
    for (mut key, mut value) in std::mem::take(&mut shown.data) {
        masking.text(&mut key);
        masking.value(&mut value);
        shown.data.insert(key, value);
    }
    if let Some(output) = &mut shown.output
        && let Cow::Owned(masked) = secrets.mask_bytes(output)
    {
        // It goes on being larger than the output only where that was cut.
        let less = u64::try_from(output.len() - masked.len()).unwrap_or_default();
        shown.output_size = shown.output_size.map(|size| size.saturating_sub(less));
        *output = masked;
        masking.masked = true;
    }
    if masking.masked {
        shown.withheld.push(WITHHELD.to_owned());
    }
    shown
}

/// A command as a plugin may be told of it.
pub(super) fn invocation(secrets: &Secrets, invocation: &Invocation) -> Invocation {
    let mut shown = invocation.clone();
    let mut masking = Masking::with(secrets);
    shown.args.iter_mut().for_each(|argument| masking.text(argument));
    shown
}

/// The variables of its environment.
pub(super) fn environment(secrets: Option<&Secrets>, mut variables: Vec<Variable>) -> Vec<Variable> {
    if let Some(secrets) = secrets {
        for variable in &mut variables {
            variable.value = OsString::from_vec(secrets.mask_bytes(variable.value.as_bytes()).into_owned());
        }
    }
    variables
}

/// Its configuration.
pub(super) fn config(secrets: Option<&Secrets>, mut config: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    if let Some(secrets) = secrets {
        Masking::with(secrets).map(&mut config);
    }
    config
}

/// An answer as everybody may read it.
pub(super) fn answer(secrets: &Secrets, mut answer: HookResult) -> HookResult {
    if !secrets.is_empty() && makes(Check::Secret) {
        let mut masking = Masking::with(secrets);
        answer.message.iter_mut().for_each(|message| masking.text(message));
        answer.result_data.iter_mut().for_each(|data| masking.value(data));
    }
    answer
}

/// An error as everybody may read it.
pub(super) fn error(secrets: &Secrets, error: PluginError) -> PluginError {
    if secrets.is_empty() || !makes(Check::Secret) {
        return error;
    }
    let masked = PluginError::new(error.kind(), secrets.mask(error.message()));
    match error.help() {
        Some(help) => masked.with_help(secrets.mask(help)),
        None => masked,
    }
}

/// A voice that tells no secret.
pub(super) fn voice(inner: Arc<dyn Voice>, secrets: &Secrets) -> Arc<dyn Voice> {
    if secrets.is_empty() || !makes(Check::Secret) {
        return inner;
    }
    Arc::new(Discreet { inner, secrets: secrets.clone(), stray: Mutex::default() })
}

struct Discreet {
    inner: Arc<dyn Voice>,
    secrets: Secrets,
    /// What each plugin printed on its own standard output or error, where the rest of a value may follow.
    stray: Mutex<BTreeMap<(PluginName, bool), Cutter>>,
}

impl fmt::Debug for Discreet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discreet").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

impl Voice for Discreet {
    fn stray(&self, plugin: &PluginName, is_stderr: bool, bytes: &[u8]) {
        let mut stray = self.stray.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = stray.entry((plugin.clone(), is_stderr)).or_default().push(&self.secrets, bytes);
        if !piece.is_empty() {
            self.inner.stray(plugin, is_stderr, &self.secrets.mask_bytes(&piece));
        }
    }

    fn log(&self, plugin: &PluginName, level: LogLevel, message: &str) {
        self.inner.log(plugin, level, &self.secrets.mask(message));
    }

    fn audit(&self, plugin: &PluginName, message: &str) {
        self.inner.audit(plugin, &self.secrets.mask(message));
    }

    fn granted(&self, plugin: &PluginName, message: &str) {
        self.inner.granted(plugin, &self.secrets.mask(message));
    }

    fn used(&self, plugin: &PluginName, usage: &CallUsage) {
        self.inner.used(plugin, usage);
    }
}

impl Drop for Discreet {
    fn drop(&mut self) {
        let stray = std::mem::take(self.stray.get_mut().unwrap_or_else(PoisonError::into_inner));
        for ((plugin, is_stderr), mut cutter) in stray {
            let rest = cutter.finish();
            if !rest.is_empty() {
                self.inner.stray(&plugin, is_stderr, &self.secrets.mask_bytes(&rest));
            }
        }
    }
}

/// Standard input as a plugin may read it.
#[derive(Debug, Default)]
pub(super) struct Input {
    cutter: Cutter,
    /// Masked already, not read yet.
    ready: Vec<u8>,
}

impl Input {
    /// At most so many bytes of what is to be read next; nothing at the end. `read` gives pieces, an empty one at the end.
    pub(super) fn read<E>(
        &mut self,
        secrets: Option<&Secrets>,
        most: usize,
        mut read: impl FnMut() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let Some(secrets) = secrets else { return read() };
        while self.ready.is_empty() {
            let piece = read()?;
            let ended = piece.is_empty();
            let cut = if ended { self.cutter.finish() } else { self.cutter.push(secrets, &piece) };
            self.ready = secrets.mask_bytes(&cut).into_owned();
            if ended {
                break;
            }
        }
        Ok(self.ready.drain(..most.min(self.ready.len())).collect())
    }
}

#[cfg(test)]
mod tests {
    use migraine_plugin_api::{CommandInfo, StepInfo, WorkflowInfo};
    use serde_json::json;

    use super::*;

    fn secrets() -> Secrets {
        Secrets::new(["hunter2", "314159"]).unwrap()
    }

    #[test]
    fn every_field_of_an_event_is_masked() {
        let mut full = Context::new("post-command");
        let text = || "a hunter2".to_owned();
        full.workflow = Some(WorkflowInfo { name: text(), ..WorkflowInfo::default() });
        full.step = Some(StepInfo { name: text(), description: text(), index: 0 });
        full.command = Some(CommandInfo { original: text(), resolved: text(), exit_code: Some(0) });
        full.variables = BTreeMap::from([("token".to_owned(), text()), ("plain".to_owned(), "x".to_owned())]);
        full.data = BTreeMap::from([("deep".to_owned(), json!({"hunter2": ["hunter2", 314_159, 3_141_592, true]}))]);
        (full.output, full.output_size) = (Some(b"hunter2 \xff".to_vec()), Some(1009));
        let shown = context(&secrets(), &full);
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains("hunter2") && text.matches(MASK).count() == 9, "{text}");
        assert_eq!(shown.data["deep"]["***"], json!(["***", "***", 3_141_592, true]));
        assert_eq!((shown.output.as_deref(), shown.output_size), (Some(&b"*** \xff"[..]), Some(1005)));
        assert_eq!((shown.withheld, &*shown.variables["plain"]), (vec!["secrets".to_owned()], "x"));

        let plain = Context::new("pre-workflow");
        assert_eq!(context(&secrets(), &plain), plain);
    }

    #[test]
    fn only_user_auth_sees_everything() {
        let of = |granted: &[&str]| -> Vec<Permission> { granted.iter().map(|text| text.parse().unwrap()).collect() };
        assert!(kept_from(&secrets(), &of(&["task_read", "task_write", "env_vars", "network"])).is_some());
        assert!(kept_from(&secrets(), &of(&["user_auth"])).is_none());
        assert!(kept_from(&Secrets::default(), &of(&[])).is_none());
    }

    #[test]
    fn environment_configuration_arguments_and_answers_are_masked() {
        let secrets = secrets();
        let variable = |value: &str| Variable { name: "V".to_owned(), value: value.into() };
        assert_eq!(environment(Some(&secrets), vec![variable("=hunter2=")]), [variable("=***=")]);
        assert_eq!(environment(None, vec![variable("hunter2")]), [variable("hunter2")]);
        let settings = BTreeMap::from([("k".to_owned(), json!(["hunter2"]))]);
        assert_eq!(config(Some(&secrets), settings.clone())["k"], json!(["***"]));
        assert_eq!(config(None, settings)["k"], json!(["hunter2"]));
        assert_eq!(invocation(&secrets, &Invocation::new("go", &["--key=hunter2"])).args, ["--key=***"]);
        let said = HookResult::success().with_message("hunter2!").with_data(json!({"veto": true, "t": "hunter2"}));
        let said = answer(&secrets, said);
        assert_eq!(
            (said.message.as_deref(), said.result_data),
            (Some("***!"), Some(json!({"veto": true, "t": "***"})))
        );
        let failed = error(&secrets, PluginError::usage("no hunter2").with_help("use hunter2"));
        assert_eq!((failed.message(), failed.help()), ("no ***", Some("use ***")));
    }

    #[test]
    fn input_is_masked_over_its_pieces_and_given_in_the_asked_size() {
        let secrets = secrets();
        let (mut input, mut read, mut seen) = (Input::default(), Vec::new(), 0);
        let mut pieces = [&b"say hun"[..], b"ter2 and go", b" hunt", b""].into_iter();
        loop {
            let next = || Ok::<_, ()>(pieces.next().unwrap_or_default().to_vec());
            let got = input.read(Some(&secrets), 4, next).unwrap();
            seen += 1;
            if got.is_empty() {
                break;
            }
            assert!(got.len() <= 4);
            read.extend(got);
        }
        assert_eq!(String::from_utf8(read).unwrap(), "say *** and go hunt");
        assert!(seen > 4);
    }
}
