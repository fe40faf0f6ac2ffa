//! A session: connect, banner, log-in, then commands with a tag each and their replies.

use super::lines::{Line, text};
use super::link::{Broken, Link};
use super::reply::{Assembler, Reply, Row};
use super::{start, tls, words};
use crate::{BusError, BusOptions, Cgate, Context};
use ew_core::Secret;
use std::thread;
use std::time::{Duration, Instant};

/// Before the second connection of a run, the third, the fourth; there is no fifth.
const BACK_OFF: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];
/// A good-bye that is not answered harms nobody.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// A session with a server, made anew when it is lost.
pub(crate) struct Session<'a> {
    pub(crate) options: &'a BusOptions,
    pub(crate) cgate: &'a Cgate,
    pub(crate) context: Context<'a>,
    /// Such as `cgate 192.0.2.5:20023`.
    pub(crate) endpoint: String,
    password: Option<Secret>,
    link: Option<Link>,
    banner: String,
    connections: usize,
    tag: u64,
}

/// A step that failed, and whether the same may do another time.
pub(crate) struct Failed {
    pub(crate) error: BusError,
    pub(crate) is_passing: bool,
}

impl Failed {
    pub(crate) fn passing(error: BusError) -> Failed {
        Failed { error, is_passing: true }
    }

    pub(crate) fn for_good(error: BusError) -> Failed {
        Failed { error, is_passing: false }
    }
}

impl<'a> Session<'a> {
    /// Connects.
    pub(crate) fn open(
        options: &'a BusOptions,
        cgate: &'a Cgate,
        context: Context<'a>,
    ) -> Result<Session<'a>, BusError> {
        let endpoint = start::endpoint(cgate);
        let password = start::password(cgate, &context, &endpoint)?;
        let mut session = Session {
            options,
            cgate,
            context,
            endpoint,
            password,
            link: None,
            banner: String::new(),
            connections: 0,
            tag: 0,
        };
        session.connect(None)?;
        Ok(session)
    }

    /// The text after the banner's 201.
    pub(crate) fn banner(&self) -> &str {
        &self.banner
    }

    /// Asks something that changes nothing, and so may be asked again on another connection where one is lost.
    pub(crate) fn ask(&mut self, command: &str) -> Result<Reply, BusError> {
        loop {
            match self.exchange(command) {
                Ok(reply) => return Ok(reply),
                Err(Failed { error, is_passing: false }) => return Err(error),
                Err(Failed { error, is_passing: true }) => self.connect(Some(error))?,
            }
        }
    }

    /// Asks for a reply without any fault in it.
    pub(crate) fn ask_well(&mut self, command: &str) -> Result<Reply, BusError> {
        let reply = self.ask(command)?;
        match reply.fault().cloned() {
            None => Ok(reply),
            Some(row) => Err(self.refused(command, &row)),
        }
    }

    /// Says something that must not be said twice.
    pub(crate) fn tell(&mut self, command: &str) -> Result<Reply, BusError> {
        let reply = self.exchange(command).map_err(|failed| failed.error)?;
        match reply.fault().cloned() {
            None => Ok(reply),
            Some(row) => Err(self.refused(command, &row)),
        }
    }

    /// What a fault row comes to. A denied command is named together with the level that the session has.
    pub(crate) fn refused(&mut self, command: &str, row: &Row) -> BusError {
        let level = if row.code == 420 { self.access_level() } else { None };
        words::refused(&self.endpoint, command, row, level.as_deref())
    }

    /// The session's access level, such as `Monitor`.
    pub(crate) fn access_level(&mut self) -> Option<String> {
        let reply = self.ask("LOGIN").ok()?;
        (reply.last.code == 210).then(|| after_colon(&reply.last.text))
    }

    /// Waits, as far as the run has time.
    pub(crate) fn pause(&self, pause: Duration) -> Result<(), BusError> {
        if Instant::now() + pause >= self.context.deadline {
            return Err(self.deadline("wait"));
        }
        thread::sleep(pause);
        Ok(())
    }

    pub(crate) fn deadline(&self, doing: &str) -> BusError {
        BusError::Deadline { endpoint: self.endpoint.clone(), doing: doing.to_owned() }
    }

    /// Connects, more than once if need be: `lost` is what became of the connection before.
    fn connect(&mut self, lost: Option<BusError>) -> Result<(), BusError> {
        let mut last = lost;
        loop {
            if let Some(error) = last.take() {
                let Some(pause) = BACK_OFF.get(self.connections.saturating_sub(1)).copied() else {
                    return Err(error);
                };
                if Instant::now() + pause >= self.context.deadline {
                    return Err(error);
                }
                (self.context.note)(&format!("{error}; connecting again in {} s", pause.as_secs()));
                thread::sleep(pause);
            }
            self.connections += 1;
            match self.connect_once() {
                Ok(()) => return Ok(()),
                Err(Failed { error, is_passing: false }) => return Err(error),
                Err(Failed { error, is_passing: true }) => last = Some(error),
            }
        }
    }

    fn connect_once(&mut self) -> Result<(), Failed> {
        let until = (Instant::now() + self.options.start_timeout.0).min(self.context.deadline);
        let link = start::connect(self, until)?;
        self.link = Some(link);
        self.banner = self.greet(until).inspect_err(|_| self.link = None)?;
        self.log_in().inspect_err(|_| self.link = None)
    }

    fn log_in(&mut self) -> Result<(), Failed> {
        let (Some(user), Some(password)) = (&self.cgate.user, &self.password) else { return Ok(()) };
        let command = format!("LOGIN {user} {}", password.expose());
        let reply = self.exchange(&command)?;
        match reply.fault() {
            None => Ok(()),
            Some(row) => {
                let doing = format!("LOGIN {user}");
                Err(Failed::for_good(words::refused(&self.endpoint, &doing, row, None)))
            }
        }
    }

    /// The banner, known by its code alone: its words differ from brand to brand.
    fn greet(&mut self, until: Instant) -> Result<String, Failed> {
        const DOING: &str = "wait for the banner";
        let step = self.options.start_timeout.0 / 2;
        let banner_until = until.min(Instant::now() + step);
        loop {
            let line = match self.hear(step, banner_until) {
                Ok(line) => line,
                Err(broken) => return Err(self.no_banner(DOING, broken, until)),
            };
            if words::looks_like_tls(line.as_bytes()) {
                return Err(Failed::for_good(self.speaks_tls(DOING, "it answers in TLS")));
            }
            match Line::parse(&line) {
                Line::Reply { code: 201, text, .. } => return Ok(text.trim().to_owned()),
                Line::Reply { code, text, .. } => {
                    let row = Row { code, text: text.trim().to_owned() };
                    return Err(Failed::for_good(words::refused(&self.endpoint, DOING, &row, None)));
                }
                Line::Event => {}
                Line::Other if line.trim().is_empty() => {}
                Line::Other => {
                    let said: String = line.chars().filter(|c| !c.is_control()).take(100).collect();
                    return Err(Failed::for_good(self.breach(DOING, &format!("no C-Gate says {said:?}"))));
                }
            }
        }
    }

    /// No banner came. A server that waits for TLS is silent too, until something comes that is none: a NOOP, which
    /// does nothing, makes it tell.
    fn no_banner(&mut self, doing: &str, broken: Broken, until: Instant) -> Failed {
        let mut broken = broken;
        if matches!(broken, Broken::Silence) && self.cgate.host.is_some() && !self.cgate.tls {
            match self.say("[0] NOOP\r\n", until).and_then(|()| self.hear(GOOD_BYE, until)) {
                Ok(line) if words::looks_like_tls(line.as_bytes()) => {
                    return Failed::for_good(self.speaks_tls(doing, "it answers in TLS"));
                }
                Err(Broken::End) if self.unheard().is_empty() => {
                    return Failed::for_good(
                        self.speaks_tls(doing, "it is silent, and hangs up when spoken to"),
                    );
                }
                Err(Broken::Bad(why)) => broken = Broken::Bad(why),
                Ok(_) | Err(_) => {}
            }
        }
        if words::looks_like_tls(self.unheard()) {
            return Failed::for_good(self.speaks_tls(doing, "it answers in TLS"));
        }
        let is_silence = matches!(broken, Broken::Silence);
        let failed = self.broken(doing, broken);
        match failed.error {
            BusError::Unreachable { endpoint, doing, cause, .. } if is_silence => {
                let hint = Some(words::SILENT_HINT.to_owned());
                Failed::for_good(BusError::Unreachable { endpoint, doing, cause, hint })
            }
            error => Failed { error, ..failed },
        }
    }

    /// What came and is no whole line.
    fn unheard(&self) -> &[u8] {
        self.link.as_ref().map_or(&[], Link::rest)
    }

    fn speaks_tls(&self, doing: &str, cause: &str) -> BusError {
        BusError::Unreachable {
            endpoint: self.endpoint.clone(),
            doing: doing.to_owned(),
            cause: cause.to_owned(),
            hint: Some(words::tls_hint(self.cgate.port)),
        }
    }

    /// One command and its reply. A link that failed is given up.
    fn exchange(&mut self, command: &str) -> Result<Reply, Failed> {
        if self.link.is_none() {
            self.connect(None).map_err(Failed::for_good)?;
        }
        self.converse(command).inspect_err(|_| self.link = None)
    }

    fn converse(&mut self, command: &str) -> Result<Reply, Failed> {
        self.tag += 1;
        let shown = self.without_secret(command);
        // C-Gate gathers a whole document before it says its first word; see the module's head.
        let reply_timeout = self.options.reply_timeout.0;
        let (idle, whole) = (reply_timeout * 2, reply_timeout * 6);
        let until = (Instant::now() + whole).min(self.context.deadline);
        self.say(&format!("[{}] {command}\r\n", self.tag), until).map_err(|b| self.broken(&shown, b))?;
        let mut assembler = Assembler::new(self.tag.to_string());
        loop {
            let line = match self.hear(idle, until) {
                Ok(line) => line,
                Err(broken) => {
                    let mut failed = self.broken(&shown, broken);
                    if let (BusError::Unreachable { cause, .. }, Some(stray)) =
                        (&mut failed.error, assembler.stray())
                    {
                        cause.push_str(&format!("; it said {:?}", self.without_secret(stray)));
                    }
                    return Err(failed);
                }
            };
            match assembler.take(&line) {
                Ok(None) => {}
                Ok(Some(reply)) => return Ok(self.presentable(reply)),
                Err(_) => return Err(Failed::for_good(self.breach(&shown, "its reply does not end"))),
            }
        }
    }

    /// The words of faults become messages, and a server may repeat the log-in in them.
    fn presentable(&self, mut reply: Reply) -> Reply {
        for row in reply.rows.iter_mut().chain([&mut reply.last]).filter(|row| row.is_fault()) {
            row.text = self.without_secret(&row.text);
        }
        reply
    }

    fn say(&mut self, line: &str, until: Instant) -> Result<(), Broken> {
        self.context.trace.sent(self.without_secret(line).as_bytes());
        self.link.as_mut().map_or(Err(Broken::End), |link| link.say(line, until))
    }

    /// The next line without its end.
    fn hear(&mut self, idle: Duration, until: Instant) -> Result<String, Broken> {
        let heard = self.link.as_mut().map_or(Err(Broken::End), |link| link.line(idle, until));
        match heard {
            Ok(line) => {
                self.trace(&line);
                Ok(text(&line))
            }
            Err(broken) => {
                if !self.unheard().is_empty() {
                    self.trace(self.unheard());
                }
                if matches!(broken, Broken::End) {
                    self.context.trace.came(b"");
                }
                Err(broken)
            }
        }
    }

    /// A server repeats commands in its events, the one of the log-in too.
    fn trace(&self, line: &[u8]) {
        match std::str::from_utf8(line) {
            Ok(text) => self.context.trace.came(self.without_secret(text).as_bytes()),
            Err(_) => self.context.trace.came(line),
        }
    }

    fn without_secret(&self, text: &str) -> String {
        match &self.password {
            Some(password) => password.hide_in(text),
            None => text.to_owned(),
        }
    }

    pub(crate) fn breach(&self, doing: &str, cause: &str) -> BusError {
        BusError::Breach { endpoint: self.endpoint.clone(), doing: doing.to_owned(), cause: cause.to_owned() }
    }

    /// A connection that ended may come back; a server that is silent has been waited for.
    fn broken(&self, doing: &str, broken: Broken) -> Failed {
        let unreachable = |cause: String, hint: Option<&str>| {
            let said = self.link.as_ref().map(|link| self.without_secret(&link.stderr()));
            let said = said.filter(|said| !said.is_empty());
            BusError::Unreachable {
                endpoint: self.endpoint.clone(),
                doing: doing.to_owned(),
                cause: said.map_or(cause.clone(), |said| format!("{cause}; its stderr: {said}")),
                hint: hint.map(str::to_owned),
            }
        };
        match broken {
            _ if Instant::now() >= self.context.deadline => Failed::for_good(self.deadline(doing)),
            Broken::End => Failed::passing(unreachable("the connection was lost".into(), None)),
            Broken::Lost(why) => Failed::passing(unreachable(why, None)),
            Broken::Silence => Failed::for_good(unreachable(
                "no answer in time".into(),
                Some("raise reply_timeout of this bus where its C-Gate is slow"),
            )),
            Broken::Bad(why) => Failed::for_good(self.breach(doing, &why)),
            Broken::Refused(cause) => Failed::for_good(BusError::Refused {
                endpoint: self.endpoint.clone(),
                doing: doing.to_owned(),
                cause: cause.to_owned(),
                hint: Some(tls::REFUSAL_HINT.to_owned()),
            }),
        }
    }
}

impl Drop for Session<'_> {
    /// QUIT, answered by 204.
    fn drop(&mut self) {
        let until = Instant::now() + GOOD_BYE;
        self.tag += 1;
        let tag = self.tag.to_string();
        if self.link.is_none() || self.say(&format!("[{tag}] QUIT\r\n"), until).is_err() {
            return;
        }
        let mut assembler = Assembler::new(tag);
        while let Ok(line) = self.hear(GOOD_BYE, until) {
            if !matches!(assembler.take(&line), Ok(None)) {
                return;
            }
        }
    }
}

/// `Monitor` of `Access level: Monitor`.
fn after_colon(text: &str) -> String {
    text.rsplit(':').next().unwrap_or(text).trim().trim_end_matches('.').to_owned()
}
