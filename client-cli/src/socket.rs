//! The profile's Unix socket, over which other commands of a profile go through its owner.
//!
//! Frames are a length (u32, big-endian) and that many bytes of JSON. The asker sends one [`crate::task::Request`]; the
//! owner answers with [`Answer`]s, of which the last is [`Answer::Done`]. Lines are acknowledged by the asker after it has
//! written them, so that nothing counts as printed that was not. The socket is 0600 in a folder of mode 0700: who can
//! connect is the user whose vault it is.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::task::Line;

pub(crate) mod client;
pub(crate) mod server;

/// The longest frame, in bytes: a batch of the largest messages, each escaped six-fold, stays below it.
const FRAME_MAX_BYTES: u32 = 64 * 1024 * 1024;

/// What an owner answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// To be printed, flushed, and acknowledged by an [`Acknowledgement`].
    Lines(Vec<Line>),
    /// The end: done, or why not.
    Done(Option<Failure>),
}

/// What an asker answers after printing, and the only thing it says after its request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Acknowledgement {
    /// The last [`Answer::Lines`] were written and flushed.
    Printed,
}

/// Writes one frame.
async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let body = Zeroizing::new(serde_json::to_vec(value)?);
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= FRAME_MAX_BYTES);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await
}

/// Reads one frame; `None` at the end of the stream.
async fn read_frame<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes(length);
    if length > FRAME_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    // Memory grows with what arrives, not with what a length claims.
    let mut body = Zeroizing::new(Vec::new());
    let read = stream.take(u64::from(length)).read_to_end(&mut body).await?;
    if read as u64 != u64::from(length) {
        return Ok(None);
    }
    serde_json::from_slice(&body).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        block_on(async {
            let mut buffer = Vec::new();
            write_frame(&mut buffer, &Answer::Done(None)).await.unwrap();
            let mut reader = buffer.as_slice();
            assert!(matches!(read_frame(&mut reader).await.unwrap(), Some(Answer::Done(None))));
            assert!(read_frame::<Answer>(&mut reader).await.unwrap().is_none());
        });
    }

    #[test]
    fn cut_off_oversized_and_garbled_frames_are_no_panic() {
        block_on(async {
            assert!(read_frame::<Answer>(&mut [0, 0, 0, 9, b'{'].as_slice()).await.unwrap().is_none());
            assert!(read_frame::<Answer>(&mut [0xff; 64].as_slice()).await.is_err());
            assert!(read_frame::<Answer>(&mut [0, 0, 0, 2, b'{', b'x'].as_slice()).await.is_err());
        });
    }
}
