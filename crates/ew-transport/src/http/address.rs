//! The key `url`: where files go, with `{name}` for the file's.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use url::{Host, Url};

/// Where the name stands.
const NAME: &str = "{name}";

/// What stands for it while the address is taken apart, and is another text in a host's name.
const PLACE: &str = "EW.NAME";

/// RFC 3986, section 2.3: what stands for itself wherever it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address of http or https, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// With `{name}`.
    text: String,
    url: Url,
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        // Before anything else, because everything else repeats it.
        if text.split_once("://").is_some_and(|(_, rest)| {
            rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
        }) {
            return Err(
                "the address holds credentials, and it is shown; write user and password, or bearer".into()
            );
        }
        let bad = |why: &str| Err(format!("{text:?} {why}"));
        let url = match Url::parse(&text.replace(NAME, PLACE)) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => return bad("is no address of http or https, such as \"https://portal.example.com/in/\""),
        };
        if url.fragment().is_some() {
            return bad("has a fragment (#), which no server gets to see");
        }
        let tidy = url.as_str().replace(PLACE, NAME);
        if text.replacen(NAME, "", 1).contains(['{', '}']) || tidy.contains(NAME) != text.contains(NAME) {
            return bad("may have one field in its path or query: {name}, the file's name");
        }
        Ok(Address { text: tidy, url })
    }
}

impl Address {
    /// The same with the name at the end of its path, unless it stands somewhere.
    pub(crate) fn named(self) -> Result<Address, String> {
        if self.text.contains(NAME) {
            return Ok(self);
        }
        if self.url.query().is_some() {
            return Err(format!("{:?} has a query and no {NAME}; write where the name stands", self.text));
        }
        let text = format!("{}/{NAME}", self.text.trim_end_matches('/'));
        Ok(Address { text, ..self })
    }

    pub(crate) fn has_query(&self) -> bool {
        self.url.query().is_some()
    }

    /// Whether it is scheme, host and port alone.
    pub(crate) fn is_origin(&self) -> bool {
        !self.text.contains(NAME) && matches!(self.url.path(), "" | "/") && !self.has_query()
    }

    #[cfg(feature = "s3")]
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the way there does not leave this machine.
    pub(crate) fn is_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The address, where `/{name}` at its end goes without saying.
    pub(crate) fn as_receiver(&self) -> String {
        let text = self.text.strip_suffix(NAME).filter(|text| text.ends_with('/')).unwrap_or(&self.text);
        text.to_owned()
    }

    /// Where the file of this name goes.
    pub(crate) fn of(&self, name: &str) -> Result<Url, String> {
        let name = utf8_percent_encode(name, RESERVED).to_string();
        let text = self.text.replace(NAME, &name);
        Url::parse(&text).map_err(|e| format!("{text} is no address: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<Address, String> {
        Address::try_from(text.to_owned())
    }

    #[test]
    fn the_name_has_its_place() {
        for (url, receiver, file) in [
            ("https://Example.com", "https://example.com/", "https://example.com/a%20%28b%29.csv"),
            (
                "https://example.com:443/in/",
                "https://example.com/in/",
                "https://example.com/in/a%20%28b%29.csv",
            ),
            ("http://[::1]:8080/in", "http://[::1]:8080/in/", "http://[::1]:8080/in/a%20%28b%29.csv"),
            (
                "https://example.com/x/{name}/raw",
                "https://example.com/x/{name}/raw",
                "https://example.com/x/a%20%28b%29.csv/raw",
            ),
            (
                "https://example.com/x?f={name}&t=1",
                "https://example.com/x?f={name}&t=1",
                "https://example.com/x?f=a%20%28b%29.csv&t=1",
            ),
        ] {
            let address = address(url).and_then(Address::named).unwrap();
            assert_eq!(address.as_receiver(), receiver);
            assert_eq!(address.of("a (b).csv").unwrap().as_str(), file);
        }
        // Nothing in a name ends the path or leaves it.
        let address = address("https://example.com/in").and_then(Address::named).unwrap();
        assert_eq!(
            address.of("%2e%2e?#&ü").unwrap().as_str(),
            "https://example.com/in/%252e%252e%3F%23%26%C3%BC"
        );
    }

    #[test]
    fn addresses_that_are_none() {
        for bad in [
            "",
            "example.com/in",
            "ftp://example.com/",
            "https://",
            "https://ew:secret@example.com/",
            "https://ew@example.com/",
            "https://example.com/#a",
            "https://{name}.example.com/",
            "https://example.com/{nam}",
            "https://example.com/{name}/{name}",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address("https://example.com/?a=b").and_then(Address::named).is_err());
        assert!(address("https://localhost/").unwrap().is_this_machine());
        assert!(!address("https://localhost.example.com/").unwrap().is_this_machine());
    }
}
