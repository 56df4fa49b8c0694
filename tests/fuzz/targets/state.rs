//! The state file. A checksum stands before the body, so the target makes it right for most inputs: what is then accepted
//! is written and read again without a change.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migraine_host::store::{State, state_checksum};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let header = format!("{{\"format\":1,\"generation\":7,\"checksum\":\"{}\"}}\n", state_checksum(7, body));
    check(&[header.as_bytes(), body, b"\n"].concat());
});

fn check(text: &[u8]) {
    let Ok(state) = State::decode(text) else { return };
    let written = state.encode().expect("what was read can be written");
    let again = State::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode().ok(), Some(written));
}
