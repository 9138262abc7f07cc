//! One suite of cases for every ledger. A backend implements [`Backend`] and calls [`contract_suite!`]; each case then
//! becomes one test named after the promise it holds the ledger to.

pub(crate) mod cases;
pub(crate) mod make;

use std::{future::Future, sync::Arc};

use conn3ction_ledger::{Batch, Head, Ledger};

/// A place where one log lives.
pub(crate) trait Backend: Send + Sync + Sized + 'static {
    /// An empty place of its own, removed when this is dropped.
    fn fresh() -> impl Future<Output = Self> + Send;

    /// A handle on the log as a starting process gets it. The case dropped all earlier handles.
    fn open(&self) -> impl Future<Output = Arc<dyn Ledger>> + Send;

    /// One more handle beside `first`: a second client where the medium allows one, else the same.
    fn second(&self, first: &Arc<dyn Ledger>) -> impl Future<Output = Arc<dyn Ledger>> + Send;

    /// Appends `batch` so that it is stored but the medium's answer to it is lost on its way; gives what the ledger makes of that.
    /// `None` where no answer can be lost.
    fn append_and_lose_the_answer(
        &self,
        ledger: &Arc<dyn Ledger>,
        head: &Head,
        batch: &Batch,
    ) -> impl Future<Output = Option<Result<Head, conn3ction_ledger::AppendError>>> + Send {
        let _ = (ledger, head, batch);
        async { None }
    }
}

/// Makes a module of tests named `$name`: every case on `$backend`.
#[macro_export]
macro_rules! contract_suite {
    ($name:ident, $backend:ty) => {
        $crate::contract_suite!(@cases $name, $backend,
            an_empty_log_has_the_empty_head
            revisions_are_dense_from_one
            an_append_at_an_old_head_is_a_conflict_that_names_the_head
            exactly_one_of_many_racers_wins_each_revision
            a_batch_is_stored_whole_or_not_at_all
            reads_are_bounded_by_bytes_and_give_at_least_one_event
            a_read_after_the_head_is_empty
            inline_bodies_come_back_as_they_were
            staged_bodies_are_streamed_and_verified
            an_event_whose_body_is_not_staged_is_not_stored
            a_follower_sees_past_and_live_without_gap_while_many_append
            a_follower_may_start_anywhere
            reopening_keeps_everything
            every_event_carries_the_hash_of_the_one_before
            an_empty_batch_closes_moments_and_makes_no_event
            a_lost_answer_is_resolved_truthfully
            verify_walks_the_whole_log
            an_export_is_the_same_log_elsewhere
        );
    };
    (@cases $name:ident, $backend:ty, $($case:ident)*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::suite::cases::$case(<$backend as $crate::suite::Backend>::fresh().await).await;
                }
            )*
        }
    };
}
