//! The worker's loop: report the seal, load what the host then names, answer calls until told to end.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, IntoRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RResult, RSlice, RStr, RVec};
use migraine_plugin_api::abi::{HostAbi, HostObject, PluginObject};
use migraine_plugin_api::{ErrorKind, PluginError};

use super::jail::Sealing;
use super::{loader, numbers};
use crate::sys;
use crate::wire::{
    Frame, FrameReader, Header, Kind, LoadBody, LoadBy, LoadedBody, OwnedFrame, Variable, WireError, write_frame,
};

/// Serves one plugin; the value is the exit code. Every exit but the one after `Shutdown` is an error to the host, which
/// sees the channel end. Nobody waits yet for one that is made ahead.
pub(super) fn main(sealing: Sealing<'_>, load_by: LoadBy, is_ahead: bool) -> i32 {
    let receives_descriptors = sealing.receives_descriptors();
    let report = match sealing.finish() {
        Ok(report) => report,
        Err(error) => {
            // Without a `Sealed` frame the host never sends anything.
            let _ = writeln!(std::io::stderr(), "{error}");
            return 73;
        }
    };
    let Ok(body) = serde_json::to_vec(&report) else { return 74 };
    let Ok(channel) = Channel::open(receives_descriptors) else { return 72 };
    if channel.send(Header::new(Kind::Sealed, 0), &body, b"").is_err() {
        return 75;
    }
    // The host has learnt which act it was; nothing may follow.
    if report.breach().is_some() {
        return 77;
    }
    if is_ahead {
        loader::rehearse();
    }
    let channel = Arc::new(channel);
    match serve(&channel, &loader::place(load_by, report.layers.namespaces)) {
        Ok(()) => 0,
        Err(_) => 76,
    }
}

/// Both pipes, and the socket that descriptors come over. Plugin threads may write at any time; only one request is answered at a time.
struct Channel {
    replies: Mutex<File>,
    /// Taken by whoever waits for a frame: the loop between calls, a service call inside one.
    requests: Mutex<FrameReader<File>>,
    /// Read only by whoever holds `requests`.
    passed: Option<OwnedFd>,
    /// The call that is running; 0 between calls, when no service may be called.
    call: AtomicU32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Channel {
    fn open(receives_descriptors: bool) -> std::io::Result<Self> {
        let file = |number| sys::fd::take_inherited(number).map(|fd: OwnedFd| File::from(fd));
        Ok(Self {
            replies: Mutex::new(file(numbers::REPLIES)?),
            requests: Mutex::new(FrameReader::new(file(numbers::REQUESTS)?)),
            passed: receives_descriptors.then(|| sys::fd::take_inherited(numbers::PASSED)).transpose()?,
            call: AtomicU32::new(0),
        })
    }

    fn send(&self, header: Header, body: &[u8], raw: &[u8]) -> Result<(), WireError> {
        write_frame(&mut *locked(&self.replies), header, body, raw)
    }

    /// Calls a host service from inside the running call.
    fn service(&self, name: &str, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        let call = self.call.load(Ordering::Acquire);
        let one_way = match name {
            "out" => Some(Kind::Out),
            "err" => Some(Kind::Err),
            "log" => Some(Kind::Log),
            _ => None,
        };
        if let Some(kind) = one_way {
            return self.send(Header::new(kind, call), body, b"").map(|()| Vec::new()).map_err(|error| lost(&error));
        }
        self.ask(Kind::Service, name, body, |frame| Ok(frame.body.to_vec()))
    }

    /// Calls a host service whose answer is a descriptor.
    fn descriptor(&self, name: &str, body: &[u8]) -> Result<OwnedFd, PluginError> {
        self.ask(Kind::Descriptor, name, body, |_| {
            let passed = self.passed.as_ref().ok_or_else(|| PluginError::failed("the host sent no descriptor"))?;
            let received = sys::fd::receive(passed.as_fd(), 1).map_err(|error| {
                PluginError::failed(format!("the descriptor cannot be received: {error}"))
                    .with_help("close streams that are done: a plugin has few descriptors")
            })?;
            match <[OwnedFd; 1]>::try_from(received.1) {
                Ok([fd]) => Ok(fd),
                Err(other) => Err(PluginError::failed(format!("the host sent {} descriptors", other.len()))),
            }
        })
    }

    /// Sends a request of the running call and takes its answer.
    fn ask<T>(
        &self,
        kind: Kind,
        name: &str,
        body: &[u8],
        take: impl FnOnce(&Frame<'_>) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let call = self.call.load(Ordering::Acquire);
        if call == 0 {
            return Err(PluginError::new(ErrorKind::Cancelled, "no call is running, so the host is not listening"));
        }
        let extra = u16::try_from(name.len())
            .map_err(|_| PluginError::new(ErrorKind::Invalid, "the service name is too long"))?;
        let whole = [name.as_bytes(), body].concat();
        // The reader is taken before the request is sent, and held until the answer is whole: two threads must not take
        // each other's answers or descriptors.
        let mut requests = locked(&self.requests);
        self.send(Header { kind, call, extra }, &whole, b"").map_err(|error| match error {
            WireError::TooLarge { .. } => PluginError::new(ErrorKind::Invalid, error.to_string()),
            other => lost(&other),
        })?;
        let frame = requests.next_frame().map_err(|error| lost(&error))?;
        match frame.header.kind {
            Kind::Answer => take(&frame),
            Kind::Refusal => Err(serde_json::from_slice(frame.body)?),
            _ => Err(PluginError::failed("the host sent something else than an answer")),
        }
    }
}

fn lost(error: &WireError) -> PluginError {
    PluginError::failed(format!("the host cannot be reached: {error}"))
}

/// The host as the plugin sees it.
#[derive(Clone)]
struct HostSide(Arc<Channel>);

impl HostAbi for HostSide {
    fn call(&self, service: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
        answer(self.0.service(service.as_str(), body.as_slice()))
    }

    fn descriptor(&self, service: RStr<'_>, body: RSlice<'_, u8>) -> RResult<i32, RVec<u8>> {
        let outcome = self.0.descriptor(service.as_str(), body.as_slice());
        // Its owner is the plugin from here on.
        outcome.map(OwnedFd::into_raw_fd).map_err(|error| encode(&error)).into()
    }
}

fn encode(error: &PluginError) -> RVec<u8> {
    serde_json::to_vec(error).unwrap_or_default().into()
}

fn answer(outcome: Result<Vec<u8>, PluginError>) -> RResult<RVec<u8>, RVec<u8>> {
    outcome.map(RVec::from).map_err(|error| encode(&error)).into()
}

fn serve(channel: &Arc<Channel>, code: &Path) -> Result<(), WireError> {
    let mut plugin = None;
    let mut spare = Vec::new();
    loop {
        // The frame takes the buffer along: the plugin reads it in place, and service calls need the reader meanwhile.
        let frame = locked(&channel.requests).next_owned(std::mem::take(&mut spare))?;
        if frame.header.kind == Kind::Shutdown {
            if let Some(plugin) = plugin.take() {
                shut_down(channel, plugin, frame.header);
            }
            return Ok(());
        }
        answer_one(channel, code, &mut plugin, &frame)?;
        spare = frame.into_buffer();
    }
}

/// Answers one request.
fn answer_one(
    channel: &Arc<Channel>,
    code: &Path,
    plugin: &mut Option<PluginObject>,
    frame: &OwnedFrame,
) -> Result<(), WireError> {
    let Header { kind, call, .. } = frame.header;
    let reply = |kind| Header::new(kind, call);
    if kind == Kind::Echo {
        return channel.send(reply(Kind::Reply), frame.body(), frame.raw());
    }
    if kind == Kind::Provoke && plugin.is_none() {
        // The launcher answers with the end of this process: see `filter`.
        let _ = nix::mount::umount("/");
        return channel.send(reply(Kind::Reply), b"", b"");
    }
    channel.call.store(call, Ordering::Release);
    if kind == Kind::Load && plugin.is_none() {
        let loaded = load(channel, code, frame.body());
        channel.call.store(0, Ordering::Release);
        return match loaded {
            Ok((made, body)) => {
                *plugin = Some(made);
                channel.send(reply(Kind::Loaded), &body, b"")
            }
            Err(failure) => {
                channel.send(reply(Kind::LoadFailed), &serde_json::to_vec(&failure).unwrap_or_default(), b"")
            }
        };
    }
    let outcome = match (kind, plugin) {
        (Kind::Hook, Some(plugin)) => plugin.hook(frame.body().into(), frame.raw().into()),
        (Kind::Command, Some(plugin)) => plugin.command(frame.body().into()),
        _ => RResult::RErr(encode(&PluginError::new(ErrorKind::Unsupported, "the worker does not know this request"))),
    };
    channel.call.store(0, Ordering::Release);
    let (kind, bytes) = match outcome {
        RResult::ROk(bytes) => (Kind::Reply, bytes),
        RResult::RErr(bytes) => (Kind::Failed, bytes),
    };
    match channel.send(reply(kind), &bytes, b"") {
        // Nothing was sent yet.
        Err(WireError::TooLarge { size, .. }) => channel.send(reply(Kind::Oversized), size.to_string().as_bytes(), b""),
        other => other,
    }
}

fn shut_down(channel: &Channel, mut plugin: PluginObject, header: Header) {
    channel.call.store(header.call, Ordering::Release);
    // The worker ends in any case; the plugin's own error has nobody left to hear it.
    let _ = plugin.shutdown();
    let _ = channel.send(Header::new(Kind::Reply, header.call), b"", b"");
}

fn load(channel: &Arc<Channel>, code: &Path, body: &[u8]) -> Result<(PluginObject, Vec<u8>), crate::wire::LoadFailure> {
    use crate::wire::LoadFailure;
    let failed = |error: String| LoadFailure::Library { message: error };
    let body: LoadBody = serde_json::from_slice(body).map_err(|error| failed(error.to_string()))?;
    // Before the library is opened: its constructors may start threads, and they see the environment already.
    for Variable { name, value } in &body.environment {
        sys::process::set_variable(name, value);
    }
    let loaded = loader::open(code);
    // The library is mapped, or never will be: the plugin's code must not find its own file open.
    drop(sys::fd::take_inherited(numbers::CODE));
    let loaded = loaded?;
    let host = HostObject::from_value(HostSide(Arc::clone(channel)), TD_Opaque);
    let plugin = loaded.create(host, &body.create)?;
    let reply = serde_json::to_vec(&LoadedBody { api_version: loaded.api_version })
        .map_err(|error| failed(error.to_string()))?;
    Ok((plugin, reply))
}
