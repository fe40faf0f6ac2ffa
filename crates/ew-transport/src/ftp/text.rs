//! What servers write for programs to read: features, facts, listings.

use crate::Entry;
use suppaftp::list::ListParser;

/// Facts of a file (RFC 3659, section 7.2).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) is_directory: bool,
    pub(crate) bytes: Option<u64>,
    pub(crate) name: String,
}

impl Facts {
    /// `type=file;size=12; name`, as MLST and MLSD give it; none where it is nothing of the kind.
    pub(crate) fn parse(line: &str) -> Option<Facts> {
        // No value of a fact has a blank, a name may.
        let (facts, name) = line.trim_start().split_once(' ')?;
        let mut found = Facts { name: name.to_owned(), ..Facts::default() };
        for fact in facts.split_terminator(';') {
            let (key, value) = fact.split_once('=')?;
            match key.to_ascii_lowercase().as_str() {
                "type" => found.is_directory = value.to_ascii_lowercase().ends_with("dir"),
                "size" => found.bytes = value.parse().ok(),
                _ => {}
            }
        }
        Some(found)
    }
}

/// A line of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    File(Entry),
    /// A directory, or a line that is about the whole.
    Other,
    /// It is in a style of its own.
    Strange,
}

impl Line {
    /// One of MLSD.
    pub(crate) fn of_facts(line: &str) -> Line {
        match Facts::parse(line) {
            None => Line::Strange,
            Some(facts) if facts.is_directory => Line::Other,
            Some(facts) => Line::File(Entry { name: facts.name, bytes: facts.bytes }),
        }
    }

    /// One of LIST, as Unix or DOS have it.
    pub(crate) fn of_list(line: &str) -> Line {
        if line.starts_with("total ") {
            return Line::Other;
        }
        let Ok(file) = ListParser::parse_posix(line).or_else(|_| ListParser::parse_dos(line)) else {
            return Line::Strange;
        };
        if file.is_directory() {
            return Line::Other;
        }
        // Of a link it is not the size of what it leads to.
        let bytes = file.is_file().then(|| u64::try_from(file.size()).ok()).flatten();
        Line::File(Entry { name: file.name().to_owned(), bytes })
    }
}

/// What FEAT says (RFC 2389), as far as it is of use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) has_facts: bool,
    pub(crate) has_utf8: bool,
    /// The command that gives the SHA-256 of a file.
    pub(crate) hash: Option<&'static str>,
}

impl Features {
    pub(crate) fn parse(reply: &str) -> Features {
        let mut found = Features::default();
        for line in reply.lines().filter(|line| line.starts_with(' ')) {
            let mut words = line.split_ascii_whitespace();
            let rest = |words: std::str::SplitAsciiWhitespace<'_>| words.collect::<String>().to_uppercase();
            match words.next().map(str::to_uppercase).as_deref() {
                Some("MLST") => found.has_facts = true,
                Some("UTF8") => found.has_utf8 = true,
                Some("XSHA256") => found.hash = Some("XSHA256"),
                // It hashes by the algorithm with the asterisk (draft-bryan-ftpext-hash-02).
                Some("HASH") if rest(words.clone()).contains("SHA-256*") => {
                    found.hash = found.hash.or(Some("HASH"));
                }
                _ => {}
            }
        }
        found
    }
}

/// The SHA-256 in a reply to XSHA256 or HASH: a word of 64 hexadecimal digits.
pub(crate) fn sha256_in(reply: &str) -> Option<String> {
    let is_hash = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    reply.split_ascii_whitespace().find(is_hash).map(str::to_ascii_lowercase)
}

/// The directory in a reply to PWD (RFC 959, appendix II): in quotes, a quote in it twice.
pub(crate) fn quoted(reply: &str) -> Option<String> {
    let (_, rest) = reply.split_once('"')?;
    let (inside, _) = rest.rsplit_once('"')?;
    Some(inside.replace("\"\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as pyftpdlib, ProFTPD, vsftpd and IIS write them.
    #[test]
    fn listings() {
        let file = |name: &str, bytes| Line::File(Entry { name: name.into(), bytes });
        let proftpd = "modify=20261122203000;perm=adfrw;size=12;type=file;UNIX.mode=0644; a b; c.csv";
        assert_eq!(Line::of_facts(proftpd), file("a b; c.csv", Some(12)));
        assert_eq!(Line::of_facts("Type=cdir;Modify=20261122203000; ."), Line::Other);
        assert_eq!(Line::of_facts("type=file; u.csv"), file("u.csv", None));
        assert_eq!(Line::of_facts("no facts"), Line::Strange);
        let vsftpd = "-rw-r--r--    1 14       50           1234 Nov 22 20:30 a b.csv";
        assert_eq!(Line::of_list(vsftpd), file("a b.csv", Some(1234)));
        assert_eq!(Line::of_list("drwxr-xr-x    2 14       50           4096 Nov 22 20:30 d"), Line::Other);
        assert_eq!(Line::of_list("total 12"), Line::Other);
        assert_eq!(Line::of_list("11-22-26  08:30PM                 1234 a.csv"), file("a.csv", Some(1234)));
        assert_eq!(Line::of_list("11-22-26  08:30PM       <DIR>          d"), Line::Other);
        assert_eq!(Line::of_list("a.csv 1234 bytes"), Line::Strange);
    }

    #[test]
    fn features_and_replies() {
        let features = Features::parse(
            "211-Features:\r\n MLST type*;size*;\r\n UTF8\r\n HASH SHA-1;SHA-256*;MD5\r\n211 End\r\n",
        );
        assert_eq!(features, Features { has_facts: true, has_utf8: true, hash: Some("HASH") });
        let sha1 = Features::parse("211-Features:\r\n HASH SHA-1*;SHA-256\r\n211 End\r\n");
        assert_eq!(sha1, Features::default());
        let hash = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        assert_eq!(sha256_in(&format!("213 SHA-256 0-11 {hash} u.csv")), Some(hash.to_lowercase()));
        assert_eq!(sha256_in("250 done"), None);
        assert_eq!(quoted("257 \"/a \"\"b\"\"\" is the directory"), Some("/a \"b\"".to_owned()));
    }
}
