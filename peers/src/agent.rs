//! One real agent, enrolled with a stand-in of its own, and what a window of
//! its work cost.

use crate::clock;
use crate::known;
use crate::measure::{self, Window};
use crate::monitors::{self, Workload};
use crate::nginx::{Arrival, Nginx};
use crate::plane::Plane;
use crate::process::{self, PROBER_CORE, Program, on};
use crate::tally::{Gap, Seen, Tally};
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// From the window's end to the agent's.
const SETTLE: Duration = Duration::from_secs(2);

/// The program, and where its files go.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) program: PathBuf,
    pub(crate) dir: PathBuf,
}

/// A run: one workload, one window.
#[derive(Debug)]
pub(crate) struct Run {
    /// Checks a second that the set asks for.
    pub(crate) offered: f64,
    pub(crate) window: Window,
    /// Resident memory in the window, and the highest since the start, MB.
    pub(crate) memory_mb: (f64, f64),
    /// The window and the beginning of the first slots, wall clock.
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) starts_ms: i64,
    /// Everything that was reported, also outside the window.
    pub(crate) tally: Tally,
    /// What it pinged through.
    pub(crate) pings_by: &'static str,
    interval_ms: u64,
}

impl Agent {
    /// Gives `workload` to a fresh agent, and measures `seconds` of it, once
    /// `warm` have passed since the first slot was due.
    pub(crate) async fn run(
        &self,
        workload: Workload,
        nginx: &Nginx,
        warm: Duration,
        seconds: u64,
    ) -> anyhow::Result<Run> {
        let (offered, interval_ms) = (workload.rate(), workload.interval_ms);
        let known_names = workload.known_names;
        let plane = Plane::start(workload)?;
        let dir = tempfile::tempdir_in(&self.dir)?;
        let config = self.configure(dir.path(), nginx)?;
        self.enroll(&config, &plane).await?;
        let log = std::fs::File::create(self.dir.join("agent.log"))?;
        let mut command = match known_names {
            true => with_known_names(dir.path(), &self.program)?,
            false => on(PROBER_CORE, &self.program),
        };
        command.args(["run", "--config"]).arg(&config).stderr(log).stdout(Stdio::null());
        let agent = Program::start(&mut command)?;
        let starts_ms = plane.accepted().await.context("see agent.log")?;
        let begins_ms = starts_ms + i64::try_from(warm.as_millis())?;
        let wait = u64::try_from(begins_ms - clock::wall_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let from_ms = clock::wall_ms();
        let window = measure::window(agent.pid, nginx, Duration::from_secs(seconds)).await?;
        let to_ms = clock::wall_ms();
        let memory_mb = process::memory_mb(agent.pid)?;
        let pings_by = process::pings_by(agent.pid)?;
        // Its last slots end, and are sealed.
        tokio::time::sleep(SETTLE).await;
        agent.terminate().await?;
        plane.ended().await?;
        let tally = plane.close();
        Ok(Run {
            offered,
            window,
            memory_mb,
            from_ms,
            to_ms,
            starts_ms,
            tally,
            pings_by,
            interval_ms,
        })
    }

    fn configure(&self, dir: &Path, nginx: &Nginx) -> anyhow::Result<PathBuf> {
        let file = dir.join("agent.toml");
        let text = format!(
            "state_dir = {:?}\n[server]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"info\"\n\
             [egress]\nallow = [\"127.0.0.0/8\"]\n[tls]\nca_file = {:?}\n",
            dir.join("state"),
            nginx.ca_file()
        );
        std::fs::write(&file, text)?;
        Ok(file)
    }

    async fn enroll(&self, config: &Path, plane: &Plane) -> anyhow::Result<()> {
        let mut command = on(PROBER_CORE, &self.program);
        command.args(["enroll", &plane.token(), "--config"]).arg(config);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        anyhow::ensure!(status.success(), "the agent cannot be enrolled");
        Ok(())
    }
}

/// `program` where the host's name server is the one with known delays: in a mount
/// namespace of its own, so that nobody else is led there.
fn with_known_names(dir: &Path, program: &Path) -> anyhow::Result<tokio::process::Command> {
    let file = dir.join("resolv.conf");
    std::fs::write(&file, format!("nameserver {}\n", known::NAME_SERVER))?;
    let mut command = on(PROBER_CORE, "unshare");
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(file).arg(program);
    Ok(command)
}

impl Run {
    /// Rows of slots that were due within the window.
    pub(crate) fn rows(&self) -> Vec<Seen> {
        let within = self.from_ms * 1_000..self.to_ms * 1_000;
        self.tally.rows.iter().filter(|row| within.contains(&row.due_us)).copied().collect()
    }

    /// Slots due within the window that were missed, by monitor.
    pub(crate) fn missed(&self) -> Vec<(u32, u64)> {
        let of = |gap: &Gap| (gap.monitor, self.slots_within(gap));
        self.tally.gaps.iter().map(of).filter(|(_, slots)| *slots > 0).collect()
    }

    /// How late the target saw requests come that were due within the window, by its own
    /// log and the wall clock, of the monitors that `which` names, milliseconds.
    pub(crate) async fn late_at_target_ms(
        &self,
        nginx: &Nginx,
        which: impl Fn(u32) -> bool,
    ) -> anyhow::Result<Vec<f64>> {
        let late = |arrival: &Arrival| {
            let monitor = arrival.monitor().filter(|monitor| which(*monitor))?;
            Some(monitors::late_ms(monitor, self.interval_ms, arrival.at_ms))
        };
        Ok(nginx.arrivals(self.from_ms, self.to_ms).await?.iter().filter_map(late).collect())
    }

    pub(crate) fn missed_slots(&self) -> u64 {
        self.missed().iter().map(|(_, slots)| slots).sum()
    }

    pub(crate) fn missed_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for gap in &self.tally.gaps {
            *counts.entry(gap.reason.as_str_name()).or_default() += self.slots_within(gap);
        }
        counts
    }

    /// How many slots of `gap` were due within the window.
    fn slots_within(&self, gap: &Gap) -> u64 {
        let slots = monitors::slots(gap.monitor, self.interval_ms);
        // Both ends as `rows` takes them: from the first millisecond to before the last.
        let first = gap.first.max(slots.first_after(self.from_ms - 1));
        let last = gap.last.min(slots.first_after(self.to_ms - 1) - 1);
        u64::try_from(last - first + 1).unwrap_or(0)
    }
}
