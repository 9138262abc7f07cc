//! Futures that wake themselves are polled again where they are.
//!
//! A task that is woken while it runs goes to the end of its worker's queue, and the runtime wakes another worker to take it from
//! there. One that was idle takes longer to come than the task takes to go on.

use std::{
    cell::Cell,
    pin::pin,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::task::AtomicWaker;

/// How often in a row, before other tasks have their turn.
const IN_A_ROW: u8 = 16;

thread_local! {
    /// Whose future this thread is polling.
    static POLLED: Cell<*const Bell> = const { Cell::new(ptr::null()) };
}

/// As `future`, polled again at once when it woke itself, but other tasks have their turn in the end. Who is woken from another thread
/// meanwhile waits for its turn, as always.
pub(crate) async fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    std::future::poll_fn(|context| {
        bell.task.register(context.waker());
        for _ in 0..IN_A_ROW {
            bell.woke_itself.store(false, Ordering::Relaxed);
            let polling = Polling(POLLED.replace(Arc::as_ptr(&bell)));
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            drop(polling);
            if polled.is_ready() || !bell.woke_itself.load(Ordering::Relaxed) {
                return polled;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// What the thread was polling before, and is again when this ends.
struct Polling(*const Bell);

impl Drop for Polling {
    fn drop(&mut self) {
        POLLED.set(self.0);
    }
}

#[derive(Default)]
struct Bell {
    /// Written and read by the thread that polls.
    woke_itself: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if ptr::eq(POLLED.get(), Arc::as_ptr(self)) {
            self.woke_itself.store(true, Ordering::Relaxed);
        } else {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls `future` once; whether it is done, and how often its task was woken.
    fn poll_once(future: impl Future<Output = ()>) -> (bool, usize) {
        let (future, woken) = (pin!(future), Arc::new(Count::default()));
        let is_done = future.poll(&mut Context::from_waker(&Waker::from(woken.clone()))).is_ready();
        (is_done, woken.0.load(Ordering::Relaxed))
    }

    /// Ready at its poll number `polls`; wakes itself until then.
    fn restless(polls: u32) -> impl Future<Output = ()> {
        let mut left = polls;
        poll_fn(move |context| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn who_wakes_itself_goes_on_without_its_task_being_woken() {
        assert_eq!(poll_once(at_once(restless(2))), (true, 0));
        assert_eq!(poll_once(at_once(restless(u32::from(IN_A_ROW)))), (true, 0));
    }

    #[test]
    fn who_wakes_itself_for_ever_lets_other_tasks_run() {
        assert_eq!(poll_once(at_once(restless(u32::MAX))), (false, 1));
    }

    #[test]
    fn who_waits_for_another_is_polled_once_when_that_one_wakes_it() {
        let (polls, bell) = (AtomicUsize::new(0), Mutex::<Option<Waker>>::default());
        let mut waiting = pin!(at_once(poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            *bell.lock().expect("the bell") = Some(context.waker().clone());
            Poll::<()>::Pending
        })));
        let woken = Arc::new(Count::default());
        for round in 1..=3 {
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone()))).is_pending());
            assert_eq!((polls.load(Ordering::Relaxed), woken.0.load(Ordering::Relaxed)), (round, round - 1));
            bell.lock().expect("the bell").take().expect("a waker").wake();
        }
    }

    #[test]
    fn whom_another_thread_wakes_meanwhile_waits_for_its_turn() {
        let polls = AtomicUsize::new(0);
        let woken_meanwhile = poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake()).join().expect("the other thread");
            Poll::Pending
        });
        assert_eq!(poll_once(at_once(woken_meanwhile)), (false, 1));
        assert_eq!(polls.into_inner(), 1);
    }

    /// A thread answers each question of a future while that one is about to be told that it has to wait: an answer whose wake is lost
    /// is never seen.
    #[test]
    fn no_wake_from_another_thread_is_lost() {
        const ROUNDS: usize = 50_000;
        let (asked, answered, bell) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::<Option<Waker>>::default());
        let asking = at_once(poll_fn(|context| {
            *bell.lock().expect("the bell") = Some(context.waker().clone());
            let question = asked.load(Ordering::Acquire);
            if answered.load(Ordering::Acquire) == question {
                if question == ROUNDS {
                    return Poll::Ready(());
                }
                asked.store(question + 1, Ordering::Release);
                // Until about when the answer comes.
                (0..question % 61).for_each(|_| std::hint::spin_loop());
            }
            Poll::Pending
        }));
        thread::scope(|scope| {
            scope.spawn(|| {
                for question in 1..=ROUNDS {
                    let mut spins = 0;
                    while asked.load(Ordering::Acquire) < question {
                        std::hint::spin_loop();
                        spins += 1;
                        if spins % 1_000 == 0 {
                            thread::yield_now();
                        }
                    }
                    (0..question % 59).for_each(|_| std::hint::spin_loop());
                    answered.store(question, Ordering::Release);
                    bell.lock().expect("the bell").clone().into_iter().for_each(Waker::wake);
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), asking).await });
            let at = answered.load(Ordering::Acquire);
            // The other thread ends in any case.
            asked.store(ROUNDS, Ordering::Release);
            assert!(ended.is_ok(), "nobody saw answer {at}");
        });
    }
}
