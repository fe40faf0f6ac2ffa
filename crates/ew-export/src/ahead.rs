//! The slices of a window, each rendered while the one before it is on its way to the receiver.

use crate::job::JobRun;
use crate::render::{self, InSpool, Piece, Renderer};
use ew_cli::Failure;
use ew_store::Log;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

/// Files in the spool, in the order of their pieces; at most one of them is there before it is asked for.
pub(crate) struct Ahead(Option<Receiver<Result<InSpool, Failure>>>);

impl Ahead {
    /// Begins with the first. A single piece, and any where no second view of the log or no thread is to be had, is
    /// rendered when it is asked for.
    pub(crate) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        job: &JobRun<'env>,
        pieces: &'env [Piece<'env>],
    ) -> Ahead {
        let (config, options) = (job.config, job.options);
        let Some(log) = (pieces.len() > 1).then(|| Log::open(job.log.path()).ok()).flatten() else {
            return Ahead(None);
        };
        // Nothing is kept in between: what is handed over is the one that is ahead.
        let (hand_over, next) = sync_channel(0);
        let work = move || render_all(&Renderer { config, options, log: &log }, pieces, &hand_over);
        let started = thread::Builder::new().name("renderer".into()).spawn_scoped(scope, work);
        Ahead(started.is_ok().then_some(next))
    }

    /// The file of the next piece, which is `piece`.
    pub(crate) fn next(&self, job: &JobRun<'_>, piece: &Piece<'_>) -> Result<InSpool, Failure> {
        match self.0.as_ref().map(Receiver::recv) {
            Some(Ok(file)) => file,
            // It ended before its time; what it did not do is done here.
            Some(Err(_)) | None => job.renderer().spool(piece, 0),
        }
    }
}

fn render_all(
    renderer: &Renderer<'_>,
    pieces: &[Piece<'_>],
    hand_over: &SyncSender<Result<InSpool, Failure>>,
) {
    for piece in pieces {
        let file = renderer.spool(piece, 0);
        let failed = file.is_err();
        if let Err(unwanted) = hand_over.send(file) {
            // A slice before it was not placed: the next run renders this one again.
            if let Ok(file) = unwanted.0 {
                let _ = std::fs::remove_file(render::spool_path(renderer.log, renderer.options, &file.spool));
            }
            return;
        }
        if failed {
            return;
        }
    }
}
