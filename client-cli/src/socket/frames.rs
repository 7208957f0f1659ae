//! Frames: a length (u32, big-endian) and that many bytes of JSON.
//!
//! Written by hand, because a frame may hold a password: every buffer is wiped when it is dropped.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::line::Line;

/// The longest frame, in bytes: a batch of the largest messages, each escaped six-fold, stays below it.
const FRAME_MAX_BYTES: u32 = 64 * 1024 * 1024;

/// What an owner answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To be printed, flushed, and acknowledged by an [`Acknowledgement`].
    Lines(Vec<Line>),
    /// The end: done, or why not.
    Done(Option<Failure>),
}

/// What an asker answers after printing, and the only thing it says after its request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Acknowledgement {
    /// The last [`Answer::Lines`] were written and flushed.
    Printed,
}

/// Writes one frame.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let body = Zeroizing::new(serde_json::to_vec(value)?);
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= FRAME_MAX_BYTES);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await
}

/// Reads one frame and parses it. Returns `None` at the end of the stream.
pub(crate) async fn read<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    match read_bytes(stream).await? {
        Some(body) => serde_json::from_slice(&body).map(Some).map_err(io::Error::from),
        None => Ok(None),
    }
}

/// Reads one frame. Returns `None` at the end of the stream.
pub(crate) async fn read_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
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
    Ok((read as u64 == u64::from(length)).then_some(body))
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
            write(&mut buffer, &Answer::Done(None)).await.unwrap();
            let mut reader = buffer.as_slice();
            assert!(matches!(read(&mut reader).await.unwrap(), Some(Answer::Done(None))));
            assert!(read::<Answer>(&mut reader).await.unwrap().is_none());
        });
    }

    #[test]
    fn cut_off_oversized_and_garbled_frames_are_no_panic() {
        block_on(async {
            assert!(read::<Answer>(&mut [0, 0, 0, 9, b'{'].as_slice()).await.unwrap().is_none());
            assert!(read::<Answer>(&mut [0xff; 64].as_slice()).await.is_err());
            assert!(read::<Answer>(&mut [0, 0, 0, 2, b'{', b'x'].as_slice()).await.is_err());
        });
    }
}
