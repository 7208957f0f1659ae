//! Arguments in paths and queries, written by clients and read by the server.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::metadata::Form;
use crate::encoding::Binary;

/// A value that can stand in a path or a query.
pub trait Argument: Sized {
    /// Its form, for documents.
    const FORM: Form;

    /// Writes the value as it stands in a URL.
    fn write(&self, url: &mut String);

    /// Reads the value from its decoded text; `None` when the text is not one.
    fn read(text: &str) -> Option<Self>;
}

impl<T: Binary> Argument for T {
    const FORM: Form = Form::Base64Url(T::BYTES_MAX);

    fn write(&self, url: &mut String) {
        URL_SAFE_NO_PAD.encode_string(self.binary(), url);
    }

    fn read(text: &str) -> Option<Self> {
        crate::encoding::decode(text)
    }
}

impl Argument for String {
    const FORM: Form = Form::Text;

    /// Leaves the unreserved characters of RFC 3986 as they are, and percent-encodes every other byte.
    fn write(&self, url: &mut String) {
        for byte in self.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Argument for u64 {
    const FORM: Form = Form::Number;

    fn write(&self, url: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(url, "{self}");
    }

    /// Takes digits alone: `parse` would take a sign, too.
    fn read(text: &str) -> Option<Self> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    }
}

/// The type of a field that holds an argument of the query: an `Option`, because each may be absent.
pub trait QueryArgument {
    /// The argument's form, for documents.
    const FORM: Form;
}

impl<T: Argument> QueryArgument for Option<T> {
    const FORM: Form = T::FORM;
}

/// An argument that is missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an argument of the path or the query is missing or malformed")]
pub struct ArgumentError {
    /// The argument's name in the API; `None` when the query holds something that is no argument of the call.
    pub name: Option<&'static str>,
}

/// The arguments of a request, as they came.
pub struct Arguments<'a> {
    /// Finds a decoded segment of the path by its name.
    pub segment: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The raw query, without its question mark.
    pub query: &'a str,
}

impl Arguments<'_> {
    /// Reads an argument of the path.
    ///
    /// # Errors
    /// [`ArgumentError`] when it is malformed.
    pub fn path<T: Argument>(&self, name: &'static str) -> Result<T, ArgumentError> {
        let text = (self.segment)(name).unwrap_or_default();
        T::read(text).ok_or(ArgumentError { name: Some(name) })
    }

    /// Reads an argument of the query; `None` when it is absent.
    ///
    /// # Errors
    /// [`ArgumentError`] when it is malformed, or there twice.
    pub fn query<T: Argument>(&self, name: &'static str) -> Result<Option<T>, ArgumentError> {
        let mut values = self.pairs().filter(|(key, _)| *key == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, Some(text))), None) => T::read(text).map(Some).ok_or(ArgumentError { name: Some(name) }),
            _ => Err(ArgumentError { name: Some(name) }),
        }
    }

    /// Refuses a query that holds anything but these arguments.
    ///
    /// # Errors
    /// [`ArgumentError`] without a name.
    pub fn only(&self, names: &[&'static str]) -> Result<(), ArgumentError> {
        if self.pairs().all(|(key, _)| names.contains(&key)) { Ok(()) } else { Err(ArgumentError { name: None }) }
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let pairs = (!self.query.is_empty()).then(|| self.query.split('&')).into_iter().flatten();
        pairs.map(|pair| pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value))))
    }
}

/// Makes a concrete path from one with `{parameters}`.
#[derive(Debug)]
pub struct PathBuilder {
    pattern: &'static str,
    url: String,
    asked: bool,
}

impl PathBuilder {
    /// Begins with a pattern.
    #[must_use]
    pub const fn new(pattern: &'static str) -> Self {
        Self { pattern, url: String::new(), asked: false }
    }

    /// Puts an argument in its place in the path. Arguments are given in the order of the pattern.
    #[must_use]
    pub fn path(mut self, name: &'static str, value: &impl Argument) -> Self {
        let place = self.pattern.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)));
        debug_assert!(place.is_some_and(|(_, (found, _))| found == name), "{name} is not next in {}", self.pattern);
        if let Some((before, (_, after))) = place {
            self.url.push_str(before);
            value.write(&mut self.url);
            self.pattern = after;
        }
        self
    }

    /// Adds an argument to the query, if there is one.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: &Option<impl Argument>) -> Self {
        let Some(value) = value else { return self };
        self.end_path();
        self.url.push(if self.asked { '&' } else { '?' });
        self.asked = true;
        self.url.push_str(name);
        self.url.push('=');
        value.write(&mut self.url);
        self
    }

    /// Returns the whole.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.end_path();
        self.url
    }

    fn end_path(&mut self) {
        self.url.push_str(std::mem::take(&mut self.pattern));
    }
}
