//! Mail addresses.

use lettre::message::Mailbox;
use serde::Deserialize;

/// A mail address, alone or with the name of whose it is: `Operations <ops@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MailAddress(Mailbox);

impl MailAddress {
    /// The address alone, as the server is told it.
    pub fn address(&self) -> &str {
        self.0.email.as_ref()
    }

    /// What stands after the `@`.
    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.0
    }

    /// Whether it is that mailbox. Servers may tell `A@` from `a@`; none known gives them to two people.
    pub(crate) fn is(&self, address: &str) -> bool {
        self.address().eq_ignore_ascii_case(address)
    }
}

impl TryFrom<String> for MailAddress {
    type Error = String;

    fn try_from(text: String) -> Result<MailAddress, String> {
        let bad = || {
            format!("{text:?} is not a mail address such as \"ops@example.com\" or \"Ops <ops@example.com>\"")
        };
        // A line break would begin a header, or a command, of its own.
        if text.chars().any(char::is_control) {
            return Err(bad());
        }
        let mailbox: Mailbox = text.parse().map_err(|_| bad())?;
        if !AsRef::<str>::as_ref(&mailbox.email).is_ascii() {
            return Err(format!("{text:?} goes beyond ASCII; write its domain in the form xn--…"));
        }
        Ok(MailAddress(mailbox))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, address) in [
            ("ops@example.com", "ops@example.com"),
            ("Ops <ops@example.com>", "ops@example.com"),
            ("Zähler <a+b@sub.example.com>", "a+b@sub.example.com"),
            ("\"Ops, second\" <ops@example.com>", "ops@example.com"),
        ] {
            assert_eq!(MailAddress::try_from(text.to_owned()).unwrap().address(), address);
        }
        for bad in [
            "",
            "ops",
            "ops@",
            "@example.com",
            "a@b@c",
            "a@example.com\r\nRCPT TO:<b@c>",
            "zähler@example.com",
        ] {
            assert!(MailAddress::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
