//! What is asked of a server: method, path, headers, body.

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};

use super::error::TransportError;

/// A request without the server that it goes to.
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    /// Kept out of logs.
    bearer: Option<HeaderValue>,
    body: Option<Bytes>,
    /// Whether every part of it can be sent.
    is_valid: bool,
}

impl Call {
    /// Returns a request without headers and body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            bearer: None,
            body: None,
            is_valid: true,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        match HeaderValue::try_from(format!("Bearer {token}")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.bearer = Some(value);
            }
            Err(_) => self.is_valid = false,
        }
        self
    }

    /// Adds a body of JSON. Bytes with an owner that wipes them are wiped once they were sent.
    #[must_use]
    pub fn json(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    /// Returns the path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone().unwrap_or_default()
    }

    /// Returns all headers, that of the body among them.
    pub(crate) fn headers(&self) -> Result<HeaderMap, TransportError> {
        if !self.is_valid {
            return Err(TransportError::Protocol);
        }
        let mut all = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|_| TransportError::Protocol)?;
            all.append(name, HeaderValue::try_from(value).map_err(|_| TransportError::Protocol)?);
        }
        if let Some(bearer) = &self.bearer {
            all.insert(AUTHORIZATION, bearer.clone());
        }
        if self.body.is_some() {
            all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(all)
    }

    /// Returns the request as it goes over the wire, still without a host.
    pub(crate) fn request<B>(&self, body: B) -> Result<Request<B>, TransportError> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| TransportError::Protocol)?;
        let mut request =
            Request::builder().method(method).uri(&self.path).body(body).map_err(|_| TransportError::Protocol)?;
        *request.headers_mut() = self.headers()?;
        Ok(request)
    }
}
