//! Where tests end a run as a power cut would: by SIGKILL, between two steps.

use std::sync::atomic::{AtomicU32, Ordering};

/// How often the boundary asked for was passed.
static PASSED: AtomicU32 = AtomicU32::new(0);

/// The boundary between two steps of a run. Programs built for tests (with debug assertions) kill themselves
/// here where `EW_CRASH` names it: `placed`, or `placed:3` the third time that it is passed.
pub fn boundary(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Ok(asked) = std::env::var("EW_CRASH") else { return };
    let (asked, times) = asked.split_once(':').unwrap_or((&asked, "1"));
    if asked == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 >= times.parse().unwrap_or(1) {
        kill();
    }
}

/// Never a panic or an exit: nothing of this process runs any more, no destructor and no handler.
fn kill() -> ! {
    let me = std::process::id().to_string();
    loop {
        let _ = std::process::Command::new("kill").args(["-KILL", &me]).status();
    }
}
