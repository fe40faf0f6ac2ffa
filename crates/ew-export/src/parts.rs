//! A long slice in two threads: stretches of its time are made into text by whoever is free, and put together in order.

use crate::manifest::Summary;
use crate::render::{Piece, RenderError, Renderer};
use ew_core::{Row, Timestamp, Window};
use ew_format::{FormatError, InParts, Part, SliceHeader};
use ew_store::{Log, Reader, State};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many threads make text; each has a view of the log of its own.
const THREADS: usize = 2;

/// From so many rows on that is worth the time it takes to begin.
pub(crate) const ROWS_MIN: u32 = 50_000;

/// The text that a stretch should come to, bytes. Its time is chosen by what came of those before it.
const STRETCH_BYTES: u64 = 1 << 20;

/// How many pieces of a stretch may wait to be written: a formatter hands on some 64 KiB at a time.
const PIECES_WAITING: usize = 32;

/// How many stretches may wait behind the one that is being written.
const STRETCHES_WAITING: usize = 2;

/// What comes of a stretch.
enum Made {
    Text(Vec<u8>),
    /// All of its text was handed over.
    Whole {
        rows: u64,
        summary: Option<Summary>,
    },
    Failed(RenderError),
}

/// A stretch of the slice's time, and where what comes of it goes.
struct Stretch {
    window: Window,
    part: Part,
    made: SyncSender<Made>,
}

/// Pieces that were written, for the text to come: memory that one thread gives back and another one asks for goes to the
/// system and comes back each time. Its lock is not the course's, which is held while a stretch waits for the writer.
#[derive(Default)]
struct Written(Mutex<Vec<Vec<u8>>>);

impl Written {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the slice was given out.
struct Course {
    whole: Window,
    next: Timestamp,
    /// The length of the next stretch, microseconds.
    span: i64,
    is_given_out: bool,
    /// What the threads see of the log, which must be the same.
    state: Option<State>,
}

/// Renders the rows of `due`, of which there are many. How many rows it were.
pub(crate) fn render<'a>(
    renderer: &Renderer<'_>,
    (format, header): (&'a dyn InParts, &SliceHeader<'a>),
    (piece, due): (&Piece<'_>, Window),
    mut out: impl Write,
    mut summary: Option<&mut Summary>,
) -> Result<u64, RenderError> {
    let (course, written) = (Mutex::new(Course::over(due)), Written::default());
    let wants_summary = summary.is_some();
    let (order, stretches) = sync_channel(STRETCHES_WAITING);
    let logs = (0..THREADS).map(|_| Log::open(renderer.log.path())).collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        for log in logs {
            let worker = Worker {
                course: &course,
                written: &written,
                format,
                header,
                piece,
                wants_summary,
                order: order.clone(),
            };
            let work = move || worker.run(&log);
            thread::Builder::new().name("stretches".into()).spawn_scoped(scope, work).map_err(write_error)?;
        }
        // The last stretch has come when no worker is left.
        drop(order);
        let mut rows = 0;
        for stretch in stretches {
            rows += put(&stretch, &written, &mut out, summary.as_deref_mut())?;
        }
        match course_of(&course).is_given_out {
            true => Ok(rows),
            false => Err(write_error(io::Error::other("the threads that make it ended too early"))),
        }
    })
}

/// Writes what comes of one stretch.
fn put(
    made: &Receiver<Made>,
    written: &Written,
    out: &mut impl Write,
    summary: Option<&mut Summary>,
) -> Result<u64, RenderError> {
    while let Ok(made) = made.recv() {
        match made {
            Made::Text(text) => {
                out.write_all(&text).map_err(write_error)?;
                written.lock().push(text);
            }
            Made::Failed(error) => return Err(error),
            Made::Whole { rows, summary: part } => {
                if let (Some(all), Some(part)) = (summary, part) {
                    all.add_all(part);
                }
                return Ok(rows);
            }
        }
    }
    Err(write_error(io::Error::other("a thread that makes it ended too early")))
}

fn write_error(source: io::Error) -> RenderError {
    RenderError::Format(FormatError::Write { format: "slice", source })
}

fn course_of(course: &Mutex<Course>) -> MutexGuard<'_, Course> {
    course.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Course {
    fn over(whole: Window) -> Course {
        let span = ((whole.end.micros() - whole.start.micros()) / 1024).max(1);
        Course { whole, next: whole.start, span, is_given_out: false, state: None }
    }

    /// Whether a view of the log is that of the thread that came first.
    fn is_same(&mut self, state: State) -> bool {
        *self.state.get_or_insert(state) == state
    }

    /// The next stretch; none where there is no more.
    fn take(&mut self) -> Option<(Window, Part)> {
        if self.is_given_out {
            return None;
        }
        let (start, Window { end, .. }) = (self.next, self.whole);
        let window = Window::new(start, start.plus_micros(self.span).min(end));
        self.next = window.end;
        self.is_given_out = window.end == end;
        Some((window, Part { is_first: start == self.whole.start, is_last: self.is_given_out }))
    }

    /// Chooses the length of the next ones by what came of this one.
    fn learn(&mut self, window: Window, bytes: u64) {
        let span = i128::from(window.end.micros() - window.start.micros());
        let ideal = span * i128::from(STRETCH_BYTES) / i128::from(bytes.max(1));
        // One that was empty, or too full, is not told to be typical.
        let near = ideal.clamp(span / 4, span * 4).max(1);
        self.span = i64::try_from(near).unwrap_or(i64::MAX);
    }
}

/// One of the threads.
struct Worker<'w, 'a> {
    course: &'w Mutex<Course>,
    written: &'w Written,
    format: &'a dyn InParts,
    header: &'w SliceHeader<'a>,
    piece: &'w Piece<'w>,
    wants_summary: bool,
    order: SyncSender<Receiver<Made>>,
}

impl Worker<'_, '_> {
    /// Takes stretches until there are none, or nobody wants them.
    fn run(&self, log: &Log) {
        if let Err(error) = self.make_all(log) {
            let (made, receiver) = sync_channel(1);
            if self.order.send(receiver).is_ok() {
                let _ = made.send(Made::Failed(error));
            }
        }
    }

    fn make_all(&self, log: &Log) -> Result<(), RenderError> {
        let snapshot = log.snapshot()?;
        let state = snapshot.state()?;
        let reader = snapshot.reader(&self.piece.scope.selection)?;
        while let Some(stretch) = self.take(state) {
            let mut bytes = 0;
            let made = self.make(&reader, &stretch, &mut bytes).unwrap_or_else(Made::Failed);
            let is_whole = matches!(made, Made::Whole { .. });
            if stretch.made.send(made).is_err() || !is_whole {
                break;
            }
            // Whoever holds the course may wait until this stretch is written, which by now can be.
            course_of(self.course).learn(stretch.window, bytes);
        }
        Ok(())
    }

    /// The next stretch, in whose order its text is put; none where this thread sees another state of the log than the
    /// other one, which then does it all.
    fn take(&self, state: State) -> Option<Stretch> {
        let mut course = course_of(self.course);
        if !course.is_same(state) {
            return None;
        }
        let (window, part) = course.take()?;
        let (made, receiver) = sync_channel(PIECES_WAITING);
        // Under the lock, so that the order in which they are put is that in which they were taken.
        self.order.send(receiver).ok()?;
        Some(Stretch { window, part, made })
    }

    fn make(&self, reader: &Reader<'_>, stretch: &Stretch, bytes: &mut u64) -> Result<Made, RenderError> {
        let out = Pieces { written: self.written, made: &stretch.made, bytes };
        let mut formatter =
            self.format.start_part(self.header, stretch.part, Box::new(out)).map_err(RenderError::Format)?;
        let mut summary = self.wants_summary.then(Summary::default);
        let mut rows = 0;
        let mut each = |row: Row<'_>| {
            rows += 1;
            if let Some(summary) = &mut summary {
                summary.add(&row);
            }
            formatter.row(row).map_err(RenderError::Format)
        };
        reader.for_each_row(stretch.window, self.piece.seqs, &mut each)?;
        formatter.finish().map_err(RenderError::Format)?;
        drop(formatter);
        Ok(Made::Whole { rows, summary })
    }
}

/// Hands text over in the pieces in which it comes.
struct Pieces<'p> {
    written: &'p Written,
    made: &'p SyncSender<Made>,
    bytes: &'p mut u64,
}

impl Write for Pieces<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        *self.bytes += buffer.len() as u64;
        let nobody = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let mut text = self.written.lock().pop().unwrap_or_default();
        text.clear();
        text.extend_from_slice(buffer);
        self.made.send(Made::Text(text)).map_err(nobody)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
