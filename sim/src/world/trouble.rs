//! Faults of our own: what happens to agents, hosts and replicas when one begins
//! and when it ends. Faults of targets and links need nothing here: `truth` and
//! `link` ask for them.

use super::World;
use crate::scenario::FaultKind;

impl World {
    pub(super) fn fault_begins(&mut self, index: usize) {
        let extent = self.truth.extents[index].clone();
        let fault = self.scenario.faults[extent.fault].clone();
        match extent.kind {
            FaultKind::AgentCrash => {
                for agent in extent.agents {
                    self.agents[agent].crash(extent.kind, fault.reboot, self.now);
                    self.connected[agent] = false;
                }
            }
            FaultKind::AgentSuspend => {
                for agent in extent.agents {
                    let asleep = &mut self.agents[agent].asleep_until;
                    *asleep = (*asleep).max(Some(extent.until));
                }
            }
            FaultKind::ControlCrash => {
                for replica in self.hit(fault.replica) {
                    self.control.replicas[replica].crash();
                }
                self.forget_sessions();
            }
            FaultKind::ControlPause => {
                for replica in self.hit(fault.replica) {
                    let paused = &mut self.control.replicas[replica].paused_until;
                    *paused = (*paused).max(Some(extent.until));
                }
            }
            FaultKind::Database => {
                let away = &mut self.control.database_away;
                let from = away.filter(|(_, until)| self.now < *until).map_or(self.now, |it| it.0);
                let until = away.map_or(extent.until, |(_, until)| until.max(extent.until));
                *away = Some((from, until));
            }
            FaultKind::ControlClock => self.control.stepped += fault.step().unwrap_or(0),
            _ => {}
        }
    }

    pub(super) fn fault_ends(&mut self, index: usize) {
        let extent = self.truth.extents[index].clone();
        let fault = self.scenario.faults[extent.fault].clone();
        match extent.kind {
            FaultKind::AgentCrash => {
                for agent in extent.agents {
                    if self.agents[agent].process.is_none()
                        && !self.is_still(FaultKind::AgentCrash, index, Some(agent))
                    {
                        let actions = self.agents[agent].start(self.now);
                        self.act(agent, actions);
                    }
                }
            }
            FaultKind::ControlCrash if !self.is_still(FaultKind::ControlCrash, index, None) => {
                for replica in self.hit(fault.replica) {
                    if !self.control.replicas[replica].up {
                        self.control.replicas[replica].up = true;
                        self.start_tasks(replica);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether another fault of this kind is on.
    fn is_still(&self, kind: FaultKind, except: usize, agent: Option<usize>) -> bool {
        self.truth.extents.iter().enumerate().any(|(index, extent)| {
            index != except
                && extent.kind == kind
                && (extent.from..extent.until).contains(&self.now)
                && agent.is_none_or(|agent| extent.agents.contains(&agent))
        })
    }

    /// The replicas a fault of the control plane hits.
    fn hit(&self, replica: Option<u32>) -> Vec<usize> {
        match replica {
            Some(number) => vec![number as usize - 1],
            None => (0..self.control.replicas.len()).collect(),
        }
    }

    fn forget_sessions(&mut self) {
        for agent in 0..self.connected.len() {
            let replicas = &self.control.replicas;
            self.connected[agent] =
                replicas.iter().any(|replica| replica.sessions.contains_key(&agent));
        }
    }
}
