//! `ew-sim cbus-cli`: a child with the `ready>` prompt, over a real interface or with a bus in memory.

mod bridge;
mod fake;

use crate::SimError;
use bridge::Bridge;
use ew_core::{Exit, Span};
use fake::Fake;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::thread;

/// A command is longer than this only by mistake, bytes.
const COMMAND_BYTES_MAX: u64 = 4096;

/// `ew-sim cbus-cli`.
#[derive(Debug, clap::Args)]
pub(crate) struct CbusCliOptions {
    /// The interface: a CNI as HOST:PORT or tcp://HOST:PORT, or the device of a PCI
    #[arg(value_name = "ENDPOINT", required_unless_present = "fake", conflicts_with = "fake")]
    endpoint: Option<String>,

    /// A bus in memory in place of an interface; FILE has the lines that D answers, and lines level:APP,GROUP=LEVEL
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    fake: Option<Option<PathBuf>>,

    /// Bit/s of a PCI
    #[arg(long, value_name = "N", default_value_t = 9600)]
    baud: u32,

    /// Write down every command that comes, one a line
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// End every line with CR LF
    #[arg(long)]
    crlf: bool,

    /// Answer so many commands and then none
    #[arg(long, value_name = "N")]
    silent_after: Option<u64>,

    /// Answer so many commands and end on the next
    #[arg(long, value_name = "N")]
    exit_after: Option<u64>,

    /// Answer so many commands and end in the middle of the next reply
    #[arg(long, value_name = "N")]
    cut_after: Option<u64>,

    /// Answer each command so much later
    #[arg(long, value_name = "DURATION")]
    delay: Option<Span>,

    /// Never prompt
    #[arg(long)]
    no_prompt: bool,

    /// Prompt without a line end
    #[arg(long)]
    bare_prompt: bool,

    /// Complain on stderr with each reply
    #[arg(long)]
    noise: bool,

    /// Know no level before the first D
    #[arg(long)]
    unprimed: bool,

    /// Take a level and change nothing
    #[arg(long)]
    stuck: bool,

    /// What is answered to a set level
    #[arg(long, value_name = "TEXT", default_value = "")]
    set_reply: String,
}

/// What is behind the prompt. An error is the line that the dialect answers.
trait Gear {
    /// The lines of a scan.
    fn discover(&mut self) -> Result<Vec<String>, String>;
    /// 0..255.
    fn level(&mut self, application: u8, group: u8) -> Result<u8, String>;
    fn set(&mut self, application: u8, group: u8, level: u8) -> Result<(), String>;
    /// A scan was made.
    fn is_primed(&self) -> bool;
}

/// Talks with whoever started us until stdin ends.
pub(crate) fn run(options: &CbusCliOptions, out: &mut dyn Write) -> Result<Exit, SimError> {
    let mut record = options.record.as_deref().map(open_record).transpose()?;
    match (&options.fake, &options.endpoint) {
        (Some(file), _) => talk(&mut Fake::new(file.as_deref())?, options, record.as_mut(), out),
        (None, Some(endpoint)) => {
            let settings = bridge::settings(endpoint, options.baud)?;
            match Bridge::open(&settings) {
                Ok(mut bridge) => talk(&mut bridge, options, record.as_mut(), out),
                Err(error) => Err(SimError::Bus(error)),
            }
        }
        (None, None) => Err(SimError::Usage("give an interface, or --fake".into())),
    }
}

fn open_record(path: &std::path::Path) -> Result<File, SimError> {
    let open = File::options().create(true).append(true).open(path);
    open.map_err(|source| SimError::Unreadable { file: path.to_owned(), source })
}

fn talk(
    gear: &mut dyn Gear,
    options: &CbusCliOptions,
    mut record: Option<&mut File>,
    out: &mut dyn Write,
) -> Result<Exit, SimError> {
    let mut mouth = Mouth { options, out };
    mouth.line("ew-sim cbus-cli")?;
    mouth.prompt()?;
    let mut stdin = io::stdin().lock();
    let mut answered = 0;
    loop {
        let mut command = String::new();
        // A stdin that cannot be read has ended for us.
        let read = io::Read::take(&mut stdin, COMMAND_BYTES_MAX).read_line(&mut command).unwrap_or(0);
        if read == 0 {
            return Ok(Exit::Ok);
        }
        let command = command.trim();
        if let Some(file) = &mut record {
            let written = writeln!(file, "{command}");
            written.map_err(|source| SimError::Output { source })?;
        }
        if options.exit_after == Some(answered) {
            return Ok(Exit::Unavailable);
        }
        if options.silent_after.is_some_and(|n| answered >= n) {
            continue;
        }
        if let Some(delay) = options.delay {
            thread::sleep(delay.0);
        }
        if options.noise {
            // Nobody may be reading it.
            let _ = writeln!(io::stderr(), "cbus-cli: noise on the line after {command:?}");
        }
        let reply = reply(gear, options, command);
        if options.cut_after == Some(answered) {
            mouth.line(reply.first().map_or("", String::as_str))?;
            return Ok(Exit::Unavailable);
        }
        for line in &reply {
            mouth.line(line)?;
        }
        mouth.prompt()?;
        answered += 1;
    }
}

struct Mouth<'a> {
    options: &'a CbusCliOptions,
    out: &'a mut dyn Write,
}

impl Mouth<'_> {
    fn line(&mut self, text: &str) -> Result<(), SimError> {
        self.say(text, if self.options.crlf { "\r\n" } else { "\n" })
    }

    fn prompt(&mut self) -> Result<(), SimError> {
        match (self.options.no_prompt, self.options.bare_prompt) {
            (true, _) => Ok(()),
            (false, true) => self.say("ready>", ""),
            (false, false) => self.line("ready>"),
        }
    }

    fn say(&mut self, text: &str, end: &str) -> Result<(), SimError> {
        let said = write!(self.out, "{text}{end}").and_then(|()| self.out.flush());
        said.map_err(|source| SimError::Output { source })
    }
}

fn reply(gear: &mut dyn Gear, options: &CbusCliOptions, command: &str) -> Vec<String> {
    let done = match parse(command) {
        None => Err(format!("error: {command:?} is no command")),
        Some(Command::Discover) => gear.discover(),
        Some(Command::Get(application, group)) => {
            let level = match options.unprimed && !gear.is_primed() {
                true => Err("error: nothing discovered yet".to_owned()),
                false => gear.level(application, group),
            };
            level.map(|level| vec![format!("level:{level}")])
        }
        Some(Command::Set(application, group, level)) => {
            let done = if options.stuck { Ok(()) } else { gear.set(application, group, level) };
            done.map(|()| vec![options.set_reply.clone()])
        }
    };
    done.unwrap_or_else(|error| vec![error])
}

enum Command {
    Discover,
    Get(u8, u8),
    Set(u8, u8, u8),
}

/// `D`, `Ga=APP,g=GROUP`, `Sa=APP,g=GROUP,l=LEVEL`.
fn parse(command: &str) -> Option<Command> {
    if command == "D" {
        return Some(Command::Discover);
    }
    let (verb, numbers) = command.split_at_checked(1)?;
    let mut numbers = numbers.split(',');
    let mut number = |key: &str| numbers.next()?.strip_prefix(key)?.parse::<u8>().ok();
    match verb {
        "G" => Some(Command::Get(number("a=")?, number("g=")?)),
        "S" => Some(Command::Set(number("a=")?, number("g=")?, number("l=")?)),
        _ => None,
    }
}
