//! The bytes of one upgraded connection. One task uses both halves, which share this state. An idle connection holds no
//! buffers.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use bytes::{Buf as _, BytesMut};

use crate::service::stream::Gone;

/// The most bytes of one read. The buffer is shared by all connections of a thread.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The most bytes of one write, because TLS keeps an encrypted copy of what the peer does not take.
const WRITE_BYTES: usize = 32 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A connection, with TLS or without.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The bytes that wait to be written.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) bytes: BytesMut,
    /// The number of these bytes that are pongs.
    pub(super) pongs: usize,
    /// Whether the connection still holds bytes that it was given.
    held: bool,
}

/// See the [module](self).
pub(super) struct Socket {
    io: RefCell<Box<dyn Io>>,
    pub(super) gathered: RefCell<Gathered>,
}

impl Socket {
    pub(super) fn new(io: Box<dyn Io>) -> Rc<Self> {
        Rc::new(Self { io: RefCell::new(io), gathered: RefCell::default() })
    }

    /// Appends the bytes that have arrived. 0 bytes mean the end, and so does an error.
    pub(super) fn poll_read(&self, context: &mut Context<'_>, into: &mut BytesMut) -> Poll<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            if ready!(Pin::new(&mut **self.io.borrow_mut()).poll_read(context, &mut read)).is_err() {
                return Poll::Ready(0);
            }
            into.extend_from_slice(read.filled());
            Poll::Ready(read.filled().len())
        })
    }

    /// Returns the number of bytes that the connection has not taken yet.
    pub(super) fn pending(&self) -> usize {
        let gathered = self.gathered.borrow();
        gathered.bytes.len().saturating_add(usize::from(gathered.held))
    }

    /// Writes as much as the connection takes. Ready once it took something, or if there is nothing to write.
    pub(super) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let (mut io, mut gathered) = (self.io.borrow_mut(), self.gathered.borrow_mut());
        let mut progress = false;
        loop {
            let polled = if gathered.held {
                Pin::new(&mut **io).poll_flush(context).map_ok(|()| 1)
            } else if gathered.bytes.is_empty() {
                // An idle connection holds no buffer.
                *gathered = Gathered::default();
                return Poll::Ready(Ok(()));
            } else {
                let part = gathered.bytes.get(..WRITE_BYTES).unwrap_or(&gathered.bytes);
                Pin::new(&mut **io).poll_write(context, part)
            };
            match polled {
                Poll::Ready(Ok(1..)) if gathered.held => gathered.held = false,
                Poll::Ready(Ok(written @ 1..)) => {
                    gathered.bytes.advance(written);
                    gathered.held = true;
                }
                Poll::Ready(_) => return Poll::Ready(Err(Gone)),
                Poll::Pending if progress => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
            progress = true;
        }
    }

    /// Writes everything that was gathered.
    pub(super) async fn write_all(&self) -> Result<(), Gone> {
        while self.pending() > 0 {
            std::future::poll_fn(|context| self.poll_write(context)).await?;
        }
        Ok(())
    }

    /// Shuts down writing and waits for the peer to close, so that a reset does not lose the last bytes.
    pub(super) async fn end(&self, patience: Duration) {
        let closing = async {
            let shut = std::future::poll_fn(|context| Pin::new(&mut **self.io.borrow_mut()).poll_shutdown(context));
            let mut rest = BytesMut::new();
            let mut read = usize::from(shut.await.is_ok());
            while read > 0 {
                rest.clear();
                read = std::future::poll_fn(|context| self.poll_read(context, &mut rest)).await;
            }
        };
        let _too_slow = tokio::time::timeout(patience, closing).await;
    }
}
