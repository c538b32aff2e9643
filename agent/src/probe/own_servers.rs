//! The name servers that this host is set up with: which they are now, and
//! whether they answer at all.
//!
//! A host may get its network, or another one, after the agent started, so its
//! configuration is looked at again while the agent runs. And where its
//! servers are silent about everything, refuse everything (they no longer know
//! this host) or fail at everything (their own way out is down), no target is to
//! blame; where they do so about one name, its zone is. To tell the two apart,
//! when they served somebody last is known to all who ask them, and where that
//! is long ago, a lookup that has to wait, or that went wrong, is accompanied by a
//! question that any server can answer. An answer that serves nobody is none here.

use super::failure::Failure;
use super::limits::{
    OWN_SERVERS_DOUBT, OWN_SERVERS_PATIENCE, OWN_SERVERS_WITNESS, RESOLV_CONF_LOOK,
};
use crate::clock;
use hyperverge_protocol::outcome::Reason;
use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// The host's resolver configuration (resolv.conf(5)).
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// When the host's own name servers answered last: with what was asked for, or that there
/// is no such thing. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LastAnswer(Arc<AtomicI64>);

impl Default for LastAnswer {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl LastAnswer {
    /// They answered now.
    pub fn note(&self) {
        self.0.fetch_max(clock::boot_ms(), Relaxed);
    }

    /// Runs `lookup`. If it has to wait and nothing was answered lately, `witness`
    /// runs beside it: another question to the same servers, whose answer (`true`)
    /// shows that they serve us.
    pub async fn accompany<T>(
        &self,
        lookup: impl Future<Output = T>,
        witness: impl Future<Output = bool>,
    ) -> T {
        let mut lookup = pin!(lookup);
        if let Ok(done) = tokio::time::timeout(OWN_SERVERS_DOUBT, lookup.as_mut()).await {
            return done;
        }
        if self.is_long_ago(clock::boot_ms()) {
            tokio::select! {
                biased;
                done = lookup.as_mut() => return done,
                answered = witness => if answered { self.note() },
            }
        }
        lookup.await
    }

    /// Whether servers that now refused a question, or failed at it, serve others. If
    /// they were not heard to lately, `witness` asks them, and is waited for a little.
    pub async fn serve_others(&self, witness: impl Future<Output = bool>) -> bool {
        if !self.is_long_ago(clock::boot_ms()) {
            return true;
        }
        let serve = tokio::time::timeout(OWN_SERVERS_WITNESS, witness).await.unwrap_or(false);
        if serve {
            self.note();
        }
        serve
    }

    /// Whether a lookup that began at `began_ms` (milliseconds of the boot clock)
    /// and met silence met it because nothing is answered. Had another lookup its
    /// answer shortly before, or since, then it was this name's own servers.
    pub fn is_long_ago(&self, began_ms: i64) -> bool {
        let patience = i64::try_from(OWN_SERVERS_PATIENCE.as_millis()).unwrap_or(i64::MAX);
        self.0.load(Relaxed) < began_ms.saturating_sub(patience)
    }
}

/// The failure of a lookup that met nothing but silence.
pub fn silent() -> Failure {
    Failure::unsupported(Reason::AgentFault, "the agent's own name servers do not answer")
}

/// The failure of a lookup whose servers refuse every question, or fail at it.
pub fn useless() -> Failure {
    let message = "the agent's own name servers refuse every question or fail at it";
    Failure::unsupported(Reason::AgentFault, message)
}

/// What is read from a file, and read anew once the file was changed.
#[derive(Debug)]
pub struct Watched<T> {
    /// `None`: it never changes.
    file: Option<PathBuf>,
    read: fn(&Path) -> T,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    looked_ms: i64,
    mark: Option<Mark>,
    value: Arc<T>,
}

/// Device, inode, size and time of change of a file: a new one may be put in its
/// place with the old one's time.
type Mark = (u64, u64, u64, i64, i64);

fn mark(file: &Path) -> Option<Mark> {
    let of = fs::metadata(file).ok()?;
    Some((of.dev(), of.ino(), of.size(), of.mtime(), of.mtime_nsec()))
}

impl<T> Watched<T> {
    /// Reads `file`, now and whenever it was changed.
    pub fn new(file: &Path, read: fn(&Path) -> T) -> Self {
        // The mark is taken first: what changes meanwhile is then read once more.
        let mark = mark(file);
        let value = Arc::new(read(file));
        let state = State { looked_ms: clock::boot_ms(), mark, value };
        Self { file: Some(file.to_owned()), read, state: Mutex::new(state) }
    }

    /// `value` for ever.
    pub fn fixed(value: T, read: fn(&Path) -> T) -> Self {
        let state = State { looked_ms: 0, mark: None, value: Arc::new(value) };
        Self { file: None, read, state: Mutex::new(state) }
    }

    /// What the file says, at most as old as the time between two looks at it.
    pub fn current(&self) -> Arc<T> {
        self.at(clock::boot_ms())
    }

    fn at(&self, now_ms: i64) -> Arc<T> {
        // A value is replaced whole, so a panic of a reader leaves nothing half done.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let every = i64::try_from(RESOLV_CONF_LOOK.as_millis()).unwrap_or(i64::MAX);
        if let Some(file) = &self.file
            && now_ms.saturating_sub(state.looked_ms) >= every
        {
            state.looked_ms = now_ms;
            let mark = mark(file);
            if mark != state.mark {
                state.mark = mark;
                state.value = Arc::new((self.read)(file));
            }
        }
        Arc::clone(&state.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_at_the_next_look() {
        let room = tempfile::tempdir().expect("a directory");
        let file = room.path().join("resolv.conf");
        let watched = Watched::new(&file, |file| fs::read_to_string(file).ok());
        let now = clock::boot_ms();
        let every = i64::try_from(RESOLV_CONF_LOOK.as_millis()).expect("a short time");
        assert_eq!(*watched.at(now), None);
        fs::write(&file, "nameserver 192.0.2.1").expect("a file");
        assert_eq!(*watched.at(now), None, "looked at too soon");
        let first = watched.at(now + every);
        assert_eq!(first.as_deref(), Some("nameserver 192.0.2.1"));
        assert!(Arc::ptr_eq(&first, &watched.at(now + 2 * every)), "read in vain");
        let next = room.path().join("next");
        fs::write(&next, "nameserver 192.0.2.2").expect("a file");
        fs::rename(&next, &file).expect("in its place");
        let second = watched.at(now + 3 * every);
        assert_eq!(second.as_deref(), Some("nameserver 192.0.2.2"));
    }

    #[test]
    fn an_answer_clears_the_servers_for_a_while() {
        let last = LastAnswer::default();
        let now = clock::boot_ms();
        let patience = i64::try_from(OWN_SERVERS_PATIENCE.as_millis()).expect("a short time");
        assert!(last.is_long_ago(now), "none was ever heard");
        last.note();
        assert!(!last.is_long_ago(now));
        let noted = last.0.load(Relaxed);
        assert!(!last.is_long_ago(noted + patience));
        assert!(last.is_long_ago(noted + patience + 1));
    }

    #[tokio::test]
    async fn a_witness_is_asked_only_in_doubt() {
        let last = LastAnswer::default();
        assert!(!last.serve_others(std::future::ready(false)).await);
        assert!(last.is_long_ago(clock::boot_ms()), "nobody was served");
        assert!(last.serve_others(std::future::ready(true)).await);
        assert!(last.serve_others(async { panic!("asked in vain") }).await);
    }
}
