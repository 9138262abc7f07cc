//! Who looks out for a disk that takes long.
//!
//! An append blocks its worker, and that worker may be the one that waits for the runtime's events: nobody would read a request
//! until the disk has answered. To wake another worker for each append costs a quarter of what the append takes beside the disk; so
//! one is woken only for an append that takes longer than a look.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::runtime::Handle;

/// Between two looks, while something is written.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// After so many looks at nothing new it sleeps.
const PATIENCE: u32 = 100;

/// A thread that looks whether the same append is still in flight.
pub(super) struct Lookout {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    /// Begun and ended: odd while one is in flight.
    appends: AtomicU64,
    sleeps: AtomicBool,
    stop: AtomicBool,
    /// Whose workers append.
    runtime: OnceLock<Handle>,
}

impl Lookout {
    pub(super) fn begin() -> std::io::Result<Self> {
        let seen = Arc::new(Seen::default());
        let look = Arc::clone(&seen);
        let thread = thread::Builder::new().name("ledger-lookout".into()).spawn(move || look.look())?;
        Ok(Self { seen, thread: Some(thread) })
    }

    /// An append is in flight while `work` runs. One at a time.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        if let Ok(runtime) = Handle::try_current() {
            self.seen.runtime.get_or_init(|| runtime);
        }
        self.seen.appends.fetch_add(1, Ordering::SeqCst);
        if self.seen.sleeps.swap(false, Ordering::SeqCst) {
            self.wake();
        }
        let _ended = Ended(&self.seen.appends);
        work()
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// Counts the end, also of an append that panics.
struct Ended<'a>(&'a AtomicU64);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn look(&self) {
        let (mut last, mut same) = (0, 0_u32);
        while !self.stop.load(Ordering::SeqCst) {
            let now = self.appends.load(Ordering::SeqCst);
            same = if now == last { same.saturating_add(1) } else { 0 };
            last = now;
            if now % 2 == 1 {
                // Once: whoever is woken then waits for events as long as it takes.
                if same == 1
                    && let Some(runtime) = self.runtime.get()
                {
                    runtime.spawn(std::future::ready(()));
                }
            } else if same > PATIENCE {
                self.sleeps.store(true, Ordering::SeqCst);
                if self.appends.load(Ordering::SeqCst) == now && !self.stop.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.sleeps.store(false, Ordering::SeqCst);
                same = 0;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
