//! A child process that is spoken to in lines or fed with a file, in a process group of its own, and that never
//! outlives its handle.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So many lines wait to be taken; a child that says more waits too.
const WAITING_MAX: usize = 16;
/// So much of its stderr is kept, bytes, from its beginning and from its end.
const STDERR_BYTES_MAX: usize = 16 * 1024;
/// A child of a run whose time is over has this at least to end by itself, and again after SIGTERM.
const LAST: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(5);
/// So often it is looked whether a silent child still runs: its stdout may be open in the hands of another process.
const LOOK: Duration = Duration::from_millis(100);

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub struct ChildLimits {
    /// The longest line that is read, bytes.
    pub line_bytes_max: u64,
    /// How long it may take to end by itself once its stdin is closed, and again after SIGTERM.
    pub grace: Duration,
}

/// Why there is no line.
#[derive(Debug)]
pub enum NoLine {
    /// Its stdout has ended.
    End,
    /// Its stdout has ended within a line.
    Cut,
    /// The deadline has passed.
    Silence,
    /// It is no UTF-8: its bytes, line end included. Another may follow.
    NoText(Vec<u8>),
    /// It is too long, or cannot be read.
    Bad(String),
}

impl NoLine {
    /// What is wrong with a line that came and is none; nothing of a child that has ended or is silent.
    pub fn fault(&self) -> Option<&str> {
        match self {
            NoLine::End | NoLine::Silence => None,
            NoLine::Cut => Some("its last line breaks off"),
            NoLine::NoText(_) => Some("its line is no UTF-8"),
            NoLine::Bad(why) => Some(why),
        }
    }
}

/// A running child.
pub struct Child {
    child: std::process::Child,
    stdin: Option<mpsc::Sender<String>>,
    lines: Receiver<Result<String, NoLine>>,
    unfinished: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Kept>>,
    /// Disconnected once stderr has ended.
    stderr_end: Receiver<()>,
    limits: ChildLimits,
    over: Option<ExitStatus>,
}

impl Child {
    /// Starts a program with its arguments, without a shell, in a folder; it has this program's environment.
    pub fn start(command: &[String], folder: &Path, limits: ChildLimits) -> io::Result<Child> {
        let mut starting = prepare(command, folder)?;
        starting.stdin(Stdio::piped()).stdout(Stdio::piped());
        Child::launch(starting, limits)
    }

    /// The same with a file on its stdin, or a pipe, more in its environment, and a stdout that takes everything and
    /// keeps nothing.
    pub fn feed<'a>(
        command: &[String],
        folder: &Path,
        stdin: impl Into<Stdio>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        limits: ChildLimits,
    ) -> io::Result<Child> {
        let mut starting = prepare(command, folder)?;
        starting.stdin(stdin).stdout(Stdio::null()).envs(environment);
        Child::launch(starting, limits)
    }

    fn launch(mut starting: Command, limits: ChildLimits) -> io::Result<Child> {
        let mut child = starting.stderr(Stdio::piped()).process_group(0).spawn()?;
        let (say, said) = mpsc::channel::<String>();
        let (tell, lines) = mpsc::sync_channel(WAITING_MAX);
        let (stderr, unfinished) = (Arc::new(Mutex::new(Kept::default())), Arc::new(Mutex::new(Vec::new())));
        let (stderr_open, stderr_end) = mpsc::channel();
        // Each thread ends with its pipe, and that with the process group.
        if let Some(mut stdin) = child.stdin.take() {
            thread::spawn(move || {
                for line in said {
                    // A child that reads no more shows by its answer.
                    if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(stdout) = child.stdout.take() {
            let unfinished = Arc::clone(&unfinished);
            thread::spawn(move || {
                read_lines(BufReader::new(stdout), limits.line_bytes_max, &unfinished, &tell);
            });
        }
        if let Some(pipe) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            thread::spawn(move || {
                keep(pipe, &kept);
                drop(stderr_open);
            });
        }
        Ok(Child { child, stdin: Some(say), lines, unfinished, stderr, stderr_end, limits, over: None })
    }

    /// Says a line, which is to end with a line feed.
    pub fn say(&self, line: String) {
        if let Some(stdin) = &self.stdin {
            // Where the writer has gone the answer shows it.
            let _ = stdin.send(line);
        }
    }

    /// Closes its stdin, once what was said before is written.
    pub fn say_no_more(&mut self) {
        self.stdin = None;
    }

    /// Its next line, with its line end.
    pub fn line(&self, deadline: Instant) -> Result<String, NoLine> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => Err(NoLine::Silence),
            Err(RecvTimeoutError::Disconnected) => Err(NoLine::End),
        }
    }

    /// The same of a child that runs: once it is gone its stdout has ended, though another process may hold it open.
    pub fn line_while_running(&self, deadline: Instant) -> Result<String, NoLine> {
        loop {
            // A child that never stops to speak is no reason to hear it for ever.
            if Instant::now() >= deadline {
                return Err(NoLine::Silence);
            }
            match self.line(deadline.min(Instant::now() + LOOK)) {
                Err(NoLine::Silence) if self.is_running() => {}
                // It may have spoken last words between the two looks.
                Err(NoLine::Silence) => {
                    return self.line(Instant::now() + LOOK).map_err(|no| match no {
                        NoLine::Silence => NoLine::End,
                        other => other,
                    });
                }
                told => return told,
            }
        }
    }

    /// Whether it still runs. Its stdout may outlive it, in the hands of a process that it started.
    pub fn is_running(&self) -> bool {
        self.over.is_none() && !self.is_zombie()
    }

    /// How it ended, if it does within the grace time once nothing more is said. What it left behind in its process
    /// group is ended too.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.ended_within(self.limits.grace)
    }

    /// The same within so much time.
    pub fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.stdin = None;
        let until = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(TICK);
        }
        if self.over.is_none() {
            // Not yet waited for, so its number is still its own and no other group's.
            self.signal(Signal::KILL);
            self.over = self.child.wait().ok();
        }
        self.over
    }

    /// Whether it has ended and nobody has taken its exit status.
    fn is_zombie(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self.group() {
            Some(id) => !matches!(waitid(WaitId::Pid(id), look), Ok(None)),
            None => true,
        }
    }

    fn group(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group() {
            // Whoever is to get it may be gone.
            let _ = kill_process_group(group, signal);
        }
    }

    /// What it wrote on stdout since its last line end.
    pub fn unfinished(&self) -> String {
        text(&self.unfinished)
    }

    /// The beginning of what it wrote on stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap_or_else(PoisonError::into_inner).first)
            .into_owned()
    }

    /// The end of what it wrote on stderr, once that has ended or so much time has gone, and whether there was more
    /// before.
    pub fn stderr_tail(&self, wait: Duration) -> (String, bool) {
        let _ = self.stderr_end.recv_timeout(wait);
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        (String::from_utf8_lossy(&kept.last).into_owned(), kept.is_cut)
    }

    /// The same once its stderr has ended, or so much time has gone: for a child whose stdout has ended, which says why on
    /// the other pipe, and that may be read a moment later.
    pub fn last_stderr(&self, wait: Duration) -> String {
        let _ = self.stderr_end.recv_timeout(wait);
        self.stderr()
    }

    /// Ends it, and whatever it started, and takes its exit status, so that nothing of it is left.
    pub fn end(&mut self) {
        self.end_after(self.limits.grace);
    }

    /// The same, with SIGTERM so long after its stdin was closed.
    pub fn end_after(&mut self, patience: Duration) {
        self.end_within(patience, |grace| grace);
    }

    /// The same, and by a moment, though each of the two waits is [`LAST`] at least.
    pub fn end_by(&mut self, patience: Duration, deadline: Instant) {
        let bounded = |wait: Duration| wait.min(deadline.saturating_duration_since(Instant::now()).max(LAST));
        self.end_within(bounded(patience), bounded);
    }

    /// With SIGTERM after `patience`, and SIGKILL after what is then made of the grace.
    fn end_within(&mut self, patience: Duration, made_of: impl Fn(Duration) -> Duration) {
        if self.ended_within(patience).is_some() {
            return;
        }
        self.signal(Signal::TERM);
        if self.ended_within(made_of(self.limits.grace)).is_none() {
            self.signal(Signal::KILL);
            self.over = self.child.wait().ok();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// A program with its arguments, in a folder.
fn prepare(command: &[String], folder: &Path) -> io::Result<Command> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // A path is relative to the folder, a bare name is looked for in $PATH.
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let mut starting = Command::new(program);
    if !folder.as_os_str().is_empty() {
        starting.current_dir(folder);
    }
    starting.args(arguments);
    Ok(starting)
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

fn read_lines(
    mut stdout: impl BufRead,
    line_bytes_max: u64,
    unfinished: &Mutex<Vec<u8>>,
    tell: &mpsc::SyncSender<Result<String, NoLine>>,
) {
    loop {
        let told = match next_line(&mut stdout, line_bytes_max, unfinished) {
            Err(NoLine::End) => return,
            told => told,
        };
        let is_over = !matches!(told, Ok(_) | Err(NoLine::NoText(_)));
        if tell.send(told).is_err() || is_over {
            return;
        }
    }
}

/// The next line; what there is of it meanwhile is for others to see.
fn next_line(
    stdout: &mut impl BufRead,
    line_bytes_max: u64,
    unfinished: &Mutex<Vec<u8>>,
) -> Result<String, NoLine> {
    loop {
        let piece = match stdout.fill_buf() {
            Ok(piece) => piece,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(NoLine::Bad(crate::plain(&e))),
        };
        let mut line = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        if piece.is_empty() {
            return Err(if line.is_empty() { NoLine::End } else { NoLine::Cut });
        }
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(piece.len());
        line.extend_from_slice(&piece[..used]);
        stdout.consume(used);
        if line.len() as u64 > line_bytes_max {
            return Err(NoLine::Bad(format!("its line is longer than {line_bytes_max} bytes")));
        }
        if end.is_some() {
            let line = String::from_utf8(std::mem::take(&mut *line));
            return line.map_err(|e| NoLine::NoText(e.into_bytes()));
        }
    }
}

/// What is kept of its stderr.
#[derive(Default)]
struct Kept {
    first: Vec<u8>,
    last: Vec<u8>,
    /// There was more before the last.
    is_cut: bool,
}

/// Keeps the beginning and the end, and reads what is between lest the child waits.
fn keep(mut pipe: impl Read, kept: &Mutex<Kept>) {
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut piece) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = STDERR_BYTES_MAX - kept.first.len();
        kept.first.extend_from_slice(&piece[..count.min(room)]);
        kept.last.extend_from_slice(&piece[..count]);
        let excess = kept.last.len().saturating_sub(STDERR_BYTES_MAX);
        kept.last.drain(..excess);
        kept.is_cut |= excess > 0;
    }
}
