//! Where the body of a request ends, as its bytes come. Nothing past the end is passed on: the server could take it for a
//! request that nobody judged.

use super::http::{Malformed, refuse};

/// Digits of the size of one chunk: more than anybody sends, and within 64 bits.
const DIGITS_MAX: u32 = 15;

/// What is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Body(Left);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Bytes(u64),
    Chunks(Chunk),
}

/// What comes next in a chunked body (RFC 9112, 7.1). Extensions and trailers, which clients of today do not send and
/// servers read differently, are no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size { size: u64, digits: u32 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataEnd,
    LastReturn,
    LastEnd,
    Nothing,
}

impl Body {
    pub(super) fn none() -> Self {
        Self(Left::Bytes(0))
    }

    /// By the value of Content-Length.
    pub(super) fn of_length(text: &str) -> Result<Self, Malformed> {
        // `parse` alone would take a plus sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(length) if digits => Ok(Self(Left::Bytes(length))),
            _ => refuse("content-length is no number of bytes"),
        }
    }

    pub(super) fn chunked() -> Self {
        Self(Left::Chunks(Chunk::Size { size: 0, digits: 0 }))
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.0, Left::Bytes(0) | Left::Chunks(Chunk::Nothing))
    }

    /// How many of the next bytes belong to the body: all, or those before its end.
    ///
    /// # Errors
    /// They are not chunks.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_over() {
            taken += match &mut self.0 {
                Left::Bytes(left) | Left::Chunks(Chunk::Data { left }) if *left > 0 => {
                    let rest = u64::try_from(bytes.len() - taken).unwrap_or(u64::MAX);
                    let now = rest.min(*left);
                    *left -= now;
                    usize::try_from(now).unwrap_or(bytes.len() - taken)
                }
                Left::Chunks(chunk) => {
                    *chunk = chunk.after(bytes[taken])?;
                    1
                }
                Left::Bytes(_) => 0,
            };
            if self.0 == Left::Chunks(Chunk::Data { left: 0 }) {
                self.0 = Left::Chunks(Chunk::DataReturn);
            }
        }
        Ok(taken)
    }
}

impl Chunk {
    fn after(self, byte: u8) -> Result<Self, Malformed> {
        match (self, byte) {
            (Self::Size { size, digits }, byte) if byte.is_ascii_hexdigit() && digits < DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Ok(Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 })
            }
            (Self::Size { size, digits: 1.. }, b'\r') => Ok(Self::SizeEnd { size }),
            (Self::SizeEnd { size: 0 }, b'\n') => Ok(Self::LastReturn),
            (Self::SizeEnd { size }, b'\n') => Ok(Self::Data { left: size }),
            (Self::DataReturn, b'\r') => Ok(Self::DataEnd),
            (Self::DataEnd, b'\n') => Ok(Self::Size { size: 0, digits: 0 }),
            (Self::LastReturn, b'\r') => Ok(Self::LastEnd),
            (Self::LastEnd, b'\n') => Ok(Self::Nothing),
            _ => refuse("the body is not made of plain chunks"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of some bytes belongs to the body, by pieces of every size, and whether it is over then.
    fn taken(body: Body, bytes: &[u8]) -> Result<(usize, bool), String> {
        let outcomes: Vec<_> = (1..=bytes.len().max(1))
            .map(|size| {
                let (mut body, mut taken) = (body, 0);
                for piece in bytes.chunks(size) {
                    let now = body.take(piece).map_err(|error| error.to_string())?;
                    taken += now;
                    if now < piece.len() {
                        break;
                    }
                }
                Ok((taken, body.is_over()))
            })
            .collect();
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0].clone()
    }

    #[test]
    fn a_length_is_a_number() {
        assert_eq!(taken(Body::of_length("5").unwrap(), b"12345GET / HTTP"), Ok((5, true)));
        assert_eq!(taken(Body::of_length("5").unwrap(), b"1234"), Ok((4, false)));
        assert_eq!(taken(Body::none(), b"G"), Ok((0, true)));
        assert_eq!(Body::of_length("0"), Ok(Body::none()));
        for text in ["", "+5", "-1", "5 ", "5,5", "0x5", "5.0", "18446744073709551616", "\u{665}"] {
            assert!(Body::of_length(text).is_err(), "{text}");
        }
    }

    #[test]
    fn chunks_end_where_they_say() {
        for (bytes, outcome) in [
            (&b"0\r\n\r\n"[..], (5, true)),
            (b"4\r\nabcd\r\n0\r\n\r\nGET http://x/", (14, true)),
            (b"A\r\n0123456789\r\n00\r\n\r\n", (21, true)),
            (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", (14, true)),
            (b"4\r\nab", (5, false)),
            (b"4\r\nabcd\r\n0\r\n", (12, false)),
        ] {
            assert_eq!(taken(Body::chunked(), bytes), Ok(outcome), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_servers_read_differently_is_no_chunk() {
        for bytes in [
            &b"\r\n"[..],
            b"4\nabcd\r\n0\r\n\r\n",
            b"4;x=y\r\nabcd\r\n0\r\n\r\n",
            b"4 \r\nabcd\r\n0\r\n\r\n",
            b" 4\r\nabcd\r\n0\r\n\r\n",
            b"0x4\r\nabcd\r\n0\r\n\r\n",
            b"+4\r\nabcd\r\n0\r\n\r\n",
            b"4\r\nabcde\r\n0\r\n\r\n",
            b"4\r\nabcd0\r\n\r\n",
            b"0\r\nTrailer: x\r\n\r\n",
            b"10000000000000000\r\n",
        ] {
            assert!(taken(Body::chunked(), bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
