//! Waiting for something to come true, with a deadline.
//!
//! Never "sleep and hope": a wait says what it waits for, asks again until it
//! is so, and when time runs out says what it saw last.

use crate::client::ClientError;
use anyhow::{Result, bail};
use std::time::Duration;

/// How often a condition is asked.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// What one look found.
#[derive(Debug)]
pub enum Seen<T> {
    /// It is so.
    Yes(T),
    /// Not so; in words, what is seen instead.
    NotYet(String),
}

/// Asks `look` until it says yes. An error that `look` returns ends the wait;
/// what may pass (a program that is just restarting) it reports as `NotYet`.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let mut last = "nothing yet".to_owned();
    let waiting = async {
        loop {
            match look().await? {
                Seen::Yes(value) => return Ok(value),
                Seen::NotYet(seen) => last = seen,
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    };
    match tokio::time::timeout(within, waiting).await {
        Ok(result) => result,
        Err(_) => bail!("{what}: not so within {} s; last seen: {last}", within.as_secs()),
    }
}

/// Asks the API with `ask` until `judge` is content with the answer. A control
/// plane that is just away is asked again.
pub async fn until_answer<A, T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Result<A, ClientError>,
    mut judge: impl FnMut(A) -> Result<Seen<T>>,
) -> Result<T> {
    until(what, within, async || match ask().await {
        Ok(answer) => judge(answer),
        Err(error) if error.may_pass() => Ok(Seen::NotYet(error.to_string())),
        Err(error) => Err(error.into()),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_condition() {
        let mut looks = 0;
        let value = until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            Ok(if looks == 3 { Seen::Yes(looks) } else { Seen::NotYet(looks.to_string()) })
        });
        assert_eq!(value.await.expect("in time"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_fails_says_what_it_saw_last() {
        let never = until::<()>("the verdict is up", Duration::from_secs(5), async || {
            Ok(Seen::NotYet("verdict down".into()))
        });
        let error = never.await.expect_err("never").to_string();
        assert!(error.contains("the verdict is up") && error.contains("verdict down"), "{error}");
    }
}
