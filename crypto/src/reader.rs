//! A strict reader of binary forms: every read is checked, nothing is allocated, and leftover bytes are an error.

/// The input has fewer bytes than the form needs, or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongLength;

/// A cursor over untrusted bytes.
#[derive(Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes the next `LEN` bytes.
    pub(crate) fn array<const LEN: usize>(&mut self) -> Result<&'a [u8; LEN], WrongLength> {
        let (array, rest) = self.0.split_first_chunk().ok_or(WrongLength)?;
        self.0 = rest;
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WrongLength> {
        self.array().map(|[byte]| *byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WrongLength> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WrongLength> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Succeeds only if every byte was read.
    pub(crate) fn end(&self) -> Result<(), WrongLength> {
        if self.0.is_empty() { Ok(()) } else { Err(WrongLength) }
    }
}

#[cfg(feature = "session")]
impl<'a> Reader<'a> {
    pub(crate) fn u16(&mut self) -> Result<u16, WrongLength> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Takes the next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WrongLength> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(WrongLength)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Takes all remaining bytes.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
