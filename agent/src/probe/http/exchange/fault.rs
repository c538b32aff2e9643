//! What went wrong in an exchange, in the same words for every version.

use super::super::meter::Endless;
use crate::probe::failure::Failure;
use crate::probe::tls;
use hyperverge_protocol::outcome::Reason;
use std::io;

/// How far an exchange came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing of the answer came.
    Asked,
    /// Part of its head came.
    Head,
    /// Its head is complete.
    Body,
}

/// Makes failures of an exchange with one target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault<'a> {
    /// Names the target for people.
    pub(super) shown: &'a str,
    /// The version that is spoken, as in `HTTP/2`.
    pub(super) version: &'static str,
    pub(super) progress: Progress,
}

impl Fault<'_> {
    fn target(&self, reason: Reason, what: &str) -> Failure {
        Failure::target(reason, format!("{} {what}", self.shown))
    }

    /// What an error of the connection below says, if it says more than that
    /// the connection is gone.
    pub(super) fn io(&self, error: &io::Error) -> Option<Failure> {
        if let Some(failure) = Failure::of_this_host(error) {
            return Some(failure);
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Endless>()) {
            Some(Endless::Head) => Some(self.headers_too_large()),
            Some(Endless::Body) => Some(self.endless_body()),
            None => tls::judge_read(self.shown, error),
        }
    }

    pub(super) fn headers_too_large(&self) -> Failure {
        self.target(Reason::HttpHeadersTooLarge, "sent more headers than are read")
    }

    pub(super) fn endless_body(&self) -> Failure {
        self.target(Reason::HttpMalformed, "sent far more than its body is long")
    }

    pub(super) fn malformed(&self) -> Failure {
        let what = format!("sent an answer that cannot be read as {}", self.version);
        self.target(Reason::HttpMalformed, &what)
    }

    /// What it says cannot be the answer to a request that it has not got.
    pub(super) fn unasked(&self) -> Failure {
        self.target(Reason::HttpMalformed, "answered before it was asked")
    }

    /// It speaks another version than was asked for.
    pub(super) fn version(&self, what: &str) -> Failure {
        self.target(Reason::HttpVersion, what)
    }

    pub(super) fn encoding(&self) -> Failure {
        self.target(Reason::HttpEncoding, "sent a body that cannot be decoded")
    }

    /// Nothing at all comes from the other side any more.
    pub(super) fn silent(&self) -> Failure {
        let reason = match self.progress {
            Progress::Asked => Reason::TimeoutProcessing,
            Progress::Head | Progress::Body => Reason::TimeoutTransfer,
        };
        self.target(reason, "fell silent on the connection")
    }

    /// The connection, or the request on it, was ended by the other side; `how`
    /// as in "closed the connection".
    pub(super) fn ended(&self, how: &str) -> Failure {
        let (reason, when) = match self.progress {
            Progress::Asked => (Reason::ResetProcessing, "without answering"),
            Progress::Head => (Reason::ResetTransfer, "in the middle of its headers"),
            Progress::Body => (Reason::ResetTransfer, "in the middle of its answer"),
        };
        self.target(reason, &format!("{how} {when}"))
    }
}
