//! The pipe from a worker, in pieces of any size: sizes stay within their caps, and both ways to take a frame agree.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use migraine_host::wire::{BODY_MAX, FrameReader, RAW_MAX, write_frame};

/// Gives out so many bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(self.1).min(target.len());
        target[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, stream)) = bytes.split_first() else { return };
    let piece = usize::from(*first) + 1;
    let mut one = FrameReader::new(Pieces(stream, piece));
    let mut other = FrameReader::new(Pieces(stream, 1 << 20));
    let (mut spare, mut written) = (Vec::new(), Vec::new());
    loop {
        match (one.next_frame(), other.next_owned(std::mem::take(&mut spare))) {
            (Ok(frame), Ok(owned)) => {
                assert!(frame.body.len() <= BODY_MAX && frame.raw.len() <= RAW_MAX);
                assert_eq!((frame.header, frame.body, frame.raw), (owned.header, owned.body(), owned.raw()));
                write_frame(&mut written, frame.header, frame.body, frame.raw)
                    .expect("a frame that was read is within its caps");
                spare = owned.into_buffer();
            }
            (Err(one), Err(other)) => {
                assert_eq!(one.to_string(), other.to_string());
                break;
            }
            (one, other) => panic!("they differ: {one:?}, {other:?}"),
        }
    }
    assert_eq!(written, stream[..written.len()]);
    let mut lines = FrameReader::new(Pieces(stream, piece));
    while let Ok(line) = lines.next_line() {
        assert!(!line.contains(&b'\n'));
    }
});
