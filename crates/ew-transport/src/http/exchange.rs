//! One request and its answer, over the redirects between them.

use crate::error::{ErrorKind, Fault};
use crate::source::PIECE_BYTES;
use crate::web::{Reply, Upload, failed};
use ew_core::{Missing, Secret};
use hmac::Mac;
use sha2::Sha256;
use std::fmt::Write as _;
use std::io::Read;
use ureq::http::header::{CONTENT_LENGTH, EXPECT, LOCATION};
use ureq::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use ureq::{Agent, Body, SendBody};
use url::Url;

/// How often a request may be sent on.
const REDIRECTS_MAX: u32 = 5;

/// A larger body waits until the server wants it: one that refuses says so before, and its answer is not lost in a
/// connection that it cuts.
const UNASKED_BYTES_MAX: u64 = 64 * 1024;

/// Everything that requests need.
pub(crate) struct Access {
    /// Scheme, host and port that credentials are for.
    pub(crate) origin: String,
    pub(crate) agent: Agent,
    /// For everyone else, where there is a client's certificate, which they do not get to see.
    pub(crate) stranger: Option<Agent>,
    /// Credentials and what else is in each request to that origin.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) signer: Option<Signer>,
    /// What is never shown.
    pub(crate) secrets: Vec<Secret>,
}

/// Signs bodies.
pub(crate) struct Signer {
    pub(crate) header: HeaderName,
    pub(crate) secret: Secret,
    pub(crate) prefix: String,
}

/// What a request brings along.
pub(crate) struct Content<'a> {
    pub(crate) bytes: u64,
    /// Opens it, for each time that it is sent.
    pub(crate) open: &'a dyn Fn() -> Result<Upload<'a>, Fault>,
}

/// A request.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Option<&'a Content<'a>>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: Method, url: &'a Url) -> Ask<'a> {
        Ask { method, url, headers: Vec::new(), content: None }
    }

    /// As a message calls it.
    pub(crate) fn operation(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }

    /// The answer 207 (RFC 4918, section 13): of several things that it concerns, one at least failed.
    pub(crate) fn undone(&self) -> Fault {
        Fault::new(ErrorKind::FarSide, format!("{}: it was not done", self.operation()))
    }
}

impl Access {
    /// Asks, and goes where the answer sends it: 307 and 308 with anything, 301 and 302 with what has no body and
    /// changes nothing. A POST that is answered by 303 was done, and what came of it is asked for there (RFC 9110,
    /// section 15.4.4). Never from https to http, and to another origin without credentials.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Response<Body>, Fault> {
        let (mut at, mut is_done) = (ask.url.clone(), false);
        let outcome = Ask::new(Method::GET, ask.url);
        for _ in 0..=REDIRECTS_MAX {
            let now = if is_done { &outcome } else { ask };
            let response = self.once(now, &at)?;
            is_done |= ask.method == Method::POST && response.status() == StatusCode::SEE_OTHER;
            let goes_on = match response.status().as_u16() {
                307 | 308 => true,
                303 => is_done,
                301 | 302 => matches!(now.method, Method::GET | Method::HEAD),
                _ => false,
            };
            let Some(to) = location(&response).filter(|_| goes_on) else { return Ok(response) };
            let next = at.join(to).ok().filter(|next| matches!(next.scheme(), "http" | "https"));
            let sends = |where_to: &str| format!("{}: the server sends on to {where_to}", ask.operation());
            let Some(next) = next else {
                return Err(Fault::new(ErrorKind::Protocol, sends("what is no address")));
            };
            if at.scheme() == "https" && next.scheme() == "http" {
                let reason = sends(&format!("{}, out of TLS", next.origin().ascii_serialization()));
                return Err(Fault::new(ErrorKind::Refused, reason).hint("nothing is sent there"));
            }
            at = next;
        }
        let reason = format!("{}: the server sends on more than {REDIRECTS_MAX} times", ask.operation());
        Err(Fault::new(ErrorKind::Protocol, reason).hint("it may send on in a circle"))
    }

    /// The same, where nothing but success is hoped for.
    pub(crate) fn must(&self, ask: &Ask<'_>) -> Result<Response<Body>, Fault> {
        let response = self.ask(ask)?;
        match response.status().as_u16() {
            207 => Err(ask.undone()),
            200..=299 => Ok(response),
            _ => Err(self.fault(ask, response)),
        }
    }

    /// What an answer comes to that is no success.
    pub(crate) fn fault(&self, ask: &Ask<'_>, response: Response<Body>) -> Fault {
        let to = location(&response).map(|to| self.hide(to).chars().take(200).collect::<String>());
        let fault = Reply::of(response, &self.secrets).fault(&ask.operation());
        match to {
            Some(to) if fault.kind == ErrorKind::Refused => {
                Fault { reason: format!("{}; it sends on to {to:?}", fault.reason), ..fault }
            }
            _ => fault,
        }
    }

    fn hide(&self, text: &str) -> String {
        Secret::hide_all(&self.secrets, text, Missing::Nothing)
    }

    fn once(&self, ask: &Ask<'_>, at: &Url) -> Result<Response<Body>, Fault> {
        let origin = at.origin().ascii_serialization();
        let is_home = origin == self.origin;
        let operation = match is_home {
            true => ask.operation(),
            false => format!("{} {origin}{}", ask.method, at.path()),
        };
        let mut request = Request::builder().method(ask.method.clone()).uri(at.as_str());
        if is_home {
            request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        }
        request = ask.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut upload = None;
        if let Some(content) = ask.content {
            request = request.header(CONTENT_LENGTH, content.bytes);
            if content.bytes > UNASKED_BYTES_MAX {
                request = request.header(EXPECT, "100-continue");
            }
            if let Some(signer) = self.signer.as_ref().filter(|_| is_home) {
                request = request.header(&signer.header, signer.sign((content.open)()?)?);
            }
            upload = Some((content.open)()?);
        }
        let agent = self.stranger.as_ref().filter(|_| !is_home).unwrap_or(&self.agent);
        let ran = match &mut upload {
            Some(upload) => request.body(SendBody::from_reader(upload)).map(|request| agent.run(request)),
            None => request.body(()).map(|request| agent.run(request)),
        };
        ran.unwrap_or_else(|e| Err(e.into())).map_err(|e| {
            let here = upload.and_then(Upload::fault);
            here.unwrap_or_else(|| failed(&operation, &e))
        })
    }
}

fn location(response: &Response<Body>) -> Option<&str> {
    response.headers().get(LOCATION)?.to_str().ok()
}

impl Signer {
    fn sign(&self, mut body: Upload<'_>) -> Result<HeaderValue, Fault> {
        let bad = |why: &str| Fault::new(ErrorKind::Config, format!("sign the body: {why}"));
        let mut mac = hmac::Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes())
            .map_err(|e| bad(&e.to_string()))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match body.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => mac.update(&piece[..count]),
                Err(e) => return Err(body.fault().unwrap_or_else(|| bad(&e.to_string()))),
            }
        }
        let mut text = self.prefix.clone();
        for byte in mac.finalize().into_bytes() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        HeaderValue::from_str(&text).map_err(|_| bad("hmac_prefix cannot stand in a header"))
    }
}
