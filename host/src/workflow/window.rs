//! Output between the thread that passes it on and the one whose hooks see it: a slow hook holds up neither the terminal nor,
//! until so much waits, the command; then it holds up both, and no memory grows.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::tee::{PIECE_MAX, Piece};

/// How much may wait, in bytes: the credit of a writer.
pub(super) const CREDIT: usize = 1 << 20;

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<(&'static str, Vec<u8>)>,
    bytes: usize,
    is_closed: bool,
}

/// What was passed on and not yet seen, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Window {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Window {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nobody panics between two changes that belong together.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds output; what follows on the same stream joins the last batch. Waits for credit, unless the window is closed.
    pub(super) fn push(&self, piece: Piece<'_>) {
        let mut waiting = self.lock();
        while waiting.bytes >= CREDIT && !waiting.is_closed {
            waiting = self.wait(waiting);
        }
        if waiting.is_closed {
            return;
        }
        waiting.bytes += piece.bytes.len();
        match waiting.batches.back_mut() {
            Some((stream, batch)) if *stream == piece.stream && batch.len() + piece.bytes.len() <= PIECE_MAX => {
                batch.extend_from_slice(piece.bytes);
            }
            _ => waiting.batches.push_back((piece.stream, piece.bytes.to_vec())),
        }
        drop(waiting);
        self.changed.notify_all();
    }

    /// The next batch, whose room is given back; none when the window is closed and empty.
    pub(super) fn pop(&self) -> Option<(&'static str, Vec<u8>)> {
        let mut waiting = self.lock();
        while waiting.batches.is_empty() && !waiting.is_closed {
            waiting = self.wait(waiting);
        }
        let batch = waiting.batches.pop_front()?;
        waiting.bytes -= batch.1.len();
        drop(waiting);
        self.changed.notify_all();
        Some(batch)
    }

    /// Takes nothing more; what waits can still be taken out.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }
}

/// Closes a window when it goes, also by a panic: the other side would wait for ever.
#[derive(Debug)]
pub(super) struct Closing<'a>(pub(super) &'a Window);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn piece<'a>(stream: &'static str, bytes: &'a [u8]) -> Piece<'a> {
        Piece { stream, bytes }
    }

    #[test]
    fn what_comes_together_is_one_batch_and_the_order_stays() {
        let window = Window::default();
        for (stream, text) in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")] {
            window.push(piece(stream, text.as_bytes()));
        }
        window.push(piece("stdout", &vec![b'e'; PIECE_MAX]));
        window.close();
        let sizes: Vec<_> = std::iter::from_fn(|| window.pop()).map(|(stream, batch)| (stream, batch.len())).collect();
        assert_eq!(sizes, [("stdout", 2), ("stderr", 1), ("stdout", 1), ("stdout", PIECE_MAX)]);
    }

    #[test]
    fn no_more_than_the_credit_waits() {
        let window = Window::default();
        let total = 8 * CREDIT;
        thread::scope(|scope| {
            scope.spawn(|| {
                let _closing = Closing(&window);
                (0..total / 4096).for_each(|_| window.push(piece("stdout", &[b'x'; 4096])));
            });
            let mut seen = 0;
            while let Some((_, batch)) = window.pop() {
                seen += batch.len();
                assert!(window.lock().bytes < CREDIT + 4096);
            }
            assert_eq!(seen, total);
        });
    }

    #[test]
    fn a_closed_window_keeps_no_writer() {
        let window = Window::default();
        (0..=CREDIT / PIECE_MAX).for_each(|at| {
            if at == CREDIT / PIECE_MAX {
                window.close();
            }
            window.push(piece("stdout", &[0; PIECE_MAX]));
        });
        assert_eq!(window.lock().bytes, CREDIT);
    }
}
