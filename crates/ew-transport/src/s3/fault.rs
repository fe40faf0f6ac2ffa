//! What the codes of S3's errors come to.

use crate::error::{ErrorKind, Fault};
use crate::web::Reply;
use ew_core::Secret;
use ureq::Body;
use ureq::http::Response;

/// What an answer comes to that is no success.
pub(crate) fn refusal(operation: &str, response: Response<Body>, secrets: &[Secret]) -> Fault {
    let reply = Reply::of(response, secrets).in_short(told);
    by_code(&reply.text(), reply.fault(operation))
}

/// An error that came as a success: the end of a long request had to be told after its beginning.
pub(crate) fn late_error(operation: &str, xml: &str) -> Option<Fault> {
    let told = told(xml)?;
    let fault = Fault::new(ErrorKind::FarSide, format!("{operation}: the server says {told}"));
    Some(by_code(&told, fault))
}

/// `Code: Message` of an error document. The rest of it repeats the request.
fn told(xml: &str) -> Option<String> {
    let error = element(xml, "Error")?;
    let (code, message) = (element(error, "Code")?, element(error, "Message").unwrap_or_default());
    Some(format!("{code}: {message}"))
}

/// What stands in the first element of a name.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn by_code(told: &str, fault: Fault) -> Fault {
    let of = |kind| Fault { kind, ..fault.clone() };
    match told.split_once(':').map_or("", |(code, _)| code) {
        "SignatureDoesNotMatch" => {
            of(ErrorKind::Refused).hint("is secret_access_key the one of access_key_id?").of_receiver()
        }
        "InvalidAccessKeyId" | "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => of(ErrorKind::Refused)
            .hint("are access_key_id and session_token right, and do they still hold?")
            .of_receiver(),
        "RequestTimeTooSkewed" => {
            of(ErrorKind::Refused).hint("set the clock of this machine, or of the server").of_receiver()
        }
        "AccessDenied" => of(ErrorKind::Refused).hint(
            "this key may not do that there; a delivery needs s3:PutObject, to look s3:GetObject and s3:ListBucket. \
             A signature that is no longer valid may be told so too: is the clock of this machine right?",
        ),
        "NoSuchBucket" => of(ErrorKind::Missing)
            .hint("make the bucket, or correct bucket, endpoint and path_style; ew makes none")
            .of_receiver(),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError" => {
            of(ErrorKind::Refused).hint("are region and endpoint those of the bucket?").of_receiver()
        }
        "EntityTooLarge" => of(ErrorKind::TooLarge)
            .hint("make the files smaller by breakup_on_period = true, a shorter period or compress"),
        // Said with various numbers; each passes.
        "BadDigest" | "ConditionalRequestConflict" | "InternalError" | "NoSuchUpload" | "OperationAborted"
        | "RequestTimeout" | "ServiceUnavailable" | "SlowDown" => Fault { hint: None, ..of(ErrorKind::FarSide) },
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_error_is_one() {
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>Please try again.</Message>\
                   <RequestId>x</RequestId></Error>";
        let fault = late_error("complete u.csv", xml).unwrap();
        assert_eq!(fault.kind, ErrorKind::FarSide);
        assert_eq!(fault.reason, "complete u.csv: the server says InternalError: Please try again.");
        assert!(late_error("complete u.csv", "<CompleteMultipartUploadResult/>").is_none());
    }
}
