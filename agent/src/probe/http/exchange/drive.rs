//! Polls a connection beside what waits for it.
//!
//! The libraries' connections are futures that have to be polled for anything
//! to happen. They are polled here, within the check: no task is spawned, so
//! nothing outlives it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Runs `work` while polling the connection it depends on. A connection that
/// ends by itself is taken away; what `work` makes of that is its result.
pub(super) async fn drive<C, T, E>(
    connection: &mut Option<C>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E>
where
    C: Future<Output = Result<(), E>> + Unpin,
{
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let Some(running) = connection else { return Poll::Pending };
        let ended = Pin::new(running).poll(cx);
        let done = work.as_mut().poll(cx);
        match (ended, done) {
            (Poll::Ready(Err(error)), Poll::Pending) => Poll::Ready(Err(error)),
            (Poll::Ready(_), done) => {
                *connection = None;
                done
            }
            (Poll::Pending, done) => done,
        }
    })
    .await
}
