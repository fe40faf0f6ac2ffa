//! One signed request and its answer.

use super::S3Options;
use super::fault::refusal;
use crate::error::{ErrorKind, Fault};
use crate::web::{agent, failed};
use crate::{Context, part_name};
use ew_core::{Secret, SecretSource};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::io::Read;
use std::time::Duration;
use ureq::http::header::{CONTENT_LENGTH, EXPECT};
use ureq::http::{Request, Response};
use ureq::{Agent, Body, SendBody};

/// How long a signature holds. It is made for each request, and the clocks here and there may differ by as much.
const SIGNED_FOR: Duration = Duration::from_secs(900);

/// A larger body waits until the server wants it: one that refuses says so before, and its answer is not lost in a
/// connection that it cuts.
const UNASKED_BYTES_MAX: u64 = 64 * 1024;

/// The longest document that a server may send, bytes: a listing has up to 1,000 names of up to 1,024.
const XML_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The longest key, bytes.
const KEY_BYTES_MAX: usize = 1024;

/// What goes along with a request: bytes, and how many.
pub(crate) type Content<'a> = (&'a mut dyn Read, u64);

/// Everything that requests need.
pub(crate) struct Access {
    agent: Agent,
    pub(crate) bucket: Bucket,
    credentials: Credentials,
    /// What is never shown.
    secrets: Vec<Secret>,
    /// Before each name, with its slash.
    pub(crate) prefix: String,
}

impl Access {
    /// Reads the secrets. Nothing is asked yet.
    pub(crate) fn new(options: &S3Options, context: &Context<'_>) -> Result<Access, Fault> {
        let read = |key: &str, source: &SecretSource| {
            let secret = (context.resolve)(source)
                .map_err(|why| Fault::new(ErrorKind::Config, format!("read {key}: {why}")))?;
            match secret.expose().chars().any(|c| c.is_control() || c.is_whitespace()) {
                true => Err(Fault::new(ErrorKind::Config, format!("read {key}: it is more than one word"))),
                false => Ok(secret),
            }
        };
        let key = read("access_key_id", &options.access_key_id)?;
        let secret = read("secret_access_key", &options.secret_access_key)?;
        let token = options.session_token.as_ref().map(|token| read("session_token", token)).transpose()?;
        let credentials = match &token {
            Some(token) => Credentials::new_with_token(key.expose(), secret.expose(), token.expose()),
            None => Credentials::new(key.expose(), secret.expose()),
        };
        let style = if options.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(
            options.endpoint.url().clone(),
            style,
            options.bucket.clone(),
            options.region.clone(),
        )
        .map_err(|e| Fault::new(ErrorKind::Config, format!("use the bucket {}: {e}", options.bucket)))?;
        let prefix = match options.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Access {
            agent: agent(&options.tls, context.base, context.timeout)?,
            bucket,
            credentials,
            secrets: [key, secret].into_iter().chain(token).collect(),
            prefix,
        })
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        Some(&self.credentials)
    }

    /// The key of the object of this name.
    pub(crate) fn key(&self, name: &str) -> Result<String, Fault> {
        part_name(name)?;
        let key = format!("{}{name}", self.prefix);
        match key.len() <= KEY_BYTES_MAX {
            true => Ok(key),
            false => Err(Fault::new(ErrorKind::Config, format!("{key:?} is longer than a key may be"))),
        }
    }

    /// Asks. What the answer says is the caller's affair.
    pub(crate) fn ask<'a, A: S3Action<'a>>(
        &self,
        operation: &str,
        mut action: A,
        headers: &'a [(&'static str, String)],
        content: Option<Content<'_>>,
    ) -> Result<Response<Body>, Fault> {
        for (name, value) in headers {
            action.headers_mut().insert(*name, value.as_str());
        }
        // By the system's clock, which the crate reads: the server holds it against its own.
        let url = action.sign(SIGNED_FOR);
        let mut request = Request::builder().method(A::METHOD.to_str()).uri(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, value.as_str());
        }
        let ran = match content {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some((mut reader, bytes)) => {
                request = request.header(CONTENT_LENGTH, bytes);
                if bytes > UNASKED_BYTES_MAX {
                    request = request.header(EXPECT, "100-continue");
                }
                request.body(SendBody::from_reader(&mut reader)).map(|request| self.agent.run(request))
            }
        };
        ran.unwrap_or_else(|e| Err(e.into())).map_err(|e| failed(operation, &e))
    }

    /// Asks, where nothing but success is hoped for.
    pub(crate) fn must<'a, A: S3Action<'a>>(
        &self,
        operation: &str,
        action: A,
        headers: &'a [(&'static str, String)],
        content: Option<Content<'_>>,
    ) -> Result<Response<Body>, Fault> {
        let response = self.ask(operation, action, headers, content)?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refusal(operation, response)),
        }
    }

    /// What an answer comes to that is no success.
    pub(crate) fn refusal(&self, operation: &str, response: Response<Body>) -> Fault {
        refusal(operation, response, &self.secrets)
    }
}

/// The document that an answer brings.
pub(crate) fn document(operation: &str, mut response: Response<Body>) -> Result<String, Fault> {
    let mut text = String::new();
    response
        .body_mut()
        .as_reader()
        .take(XML_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|e| failed(operation, &e.into()))?;
    Ok(text)
}

/// A document that is not what was asked for.
pub(crate) fn unread(operation: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(ErrorKind::Protocol, format!("{operation}: the answer is none of S3: {error}"))
        .hint("is the endpoint the address of the S3 service itself?")
}
