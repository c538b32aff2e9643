//! An incident in one sentence, for a person woken at night.

use crate::notification::{DeliveryState, elapsed, utc};

/// What the sentence is made of.
#[derive(Debug, Clone)]
pub struct Night<'a> {
    /// The incident's own newest sentence.
    pub summary: &'a str,
    pub started_at: i64,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    /// The count of votes at its worst, where there was a vote.
    pub arithmetic: Option<String>,
    /// The notices of its beginning, and where each stands.
    pub notices: &'a [NoticeStands<'a>],
    /// Why nobody was told, or nobody but routes that name what is quiet, where that is known.
    pub nobody: Option<&'a str>,
}

/// Where one notice of the beginning stands.
#[derive(Debug, Clone, Copy)]
pub struct NoticeStands<'a> {
    /// The channel's name.
    pub channel: &'a str,
    pub state: DeliveryState,
    pub made_at: i64,
    pub settled_at: Option<i64>,
    pub last_error: Option<&'a str>,
    /// It told of another incident, by name, whose group this one belongs to.
    pub through: Option<&'a str>,
    /// It went only to routes that name what is below the quorum, or about us.
    pub quiet: bool,
}

/// What it is, since when, how it was decided and who knows.
pub fn at_night(night: &Night<'_>) -> String {
    let known = match night.started_at - night.opened_at {
        before if before > 0 => format!("below the quorum {} before", elapsed(before)),
        after => format!("{} later", elapsed(after.saturating_neg())),
    };
    let mut said = format!(
        "{}; it began at {}, known {known}",
        night.summary.trim_end_matches('.'),
        utc(night.started_at)
    );
    if let Some(arithmetic) = &night.arithmetic {
        said.push_str(&format!("; at its worst {arithmetic}"));
    }
    said.push_str("; ");
    said.push_str(&told(night));
    if let Some(resolved_at) = night.resolved_at {
        said.push_str(&format!("; over at {}", utc(resolved_at)));
    }
    said.push('.');
    said
}

fn told(night: &Night<'_>) -> String {
    if night.notices.is_empty() {
        let why = night.nobody.map(|why| format!(" ({why})")).unwrap_or_default();
        return format!("nobody was told{why}");
    }
    let one = |notice: &NoticeStands<'_>| {
        let channel = notice.channel;
        let with = notice.through.map(|lead| format!(" with {lead}")).unwrap_or_default();
        let with = if notice.quiet { format!(" quietly{with}") } else { with };
        match notice.state {
            DeliveryState::Delivered => {
                let took = notice.settled_at.unwrap_or(notice.made_at) - night.started_at;
                match notice.through {
                    Some(lead) if took < 0 => {
                        format!("{channel} knew of {lead} before it began")
                    }
                    _ => format!("{channel} was told{with} {} after it began", elapsed(took)),
                }
            }
            DeliveryState::Pending => match notice.last_error {
                Some(error) => format!("{channel} is being told{with} and failed so far ({error})"),
                None => format!("{channel} is being told{with}"),
            },
            DeliveryState::Dead => {
                let error = notice.last_error.unwrap_or("it never took the notice");
                format!("{channel} could not be told ({error})")
            }
            DeliveryState::Discarded | DeliveryState::Superseded => {
                format!("{channel} need not be told any more")
            }
        }
    };
    let mut said = night.notices.iter().map(one).collect::<Vec<_>>().join(", ");
    if let Some(why) = night.nobody.filter(|_| night.notices.iter().all(|notice| notice.quiet)) {
        said.push_str(&format!("; nobody was paged ({why})"));
    }
    said
}
