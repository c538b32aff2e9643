//! What is stored with each decision: what the planner was asked, and its answer.

use super::Carrier;
use crate::limits::EVIDENCE_CANDIDATES;
use hyperverge_control_core::paging::{GroupRef, Input, Join, Plan, Reach};
use serde_json::{Value, json};
use uuid::Uuid;

impl Carrier<'_> {
    /// What the planner was asked, as far as it concerns the incident, and its answer.
    pub(super) fn evidence(&self, incident_id: Uuid, reach: Reach, part: &Plan) -> Value {
        let (input, left_out) = self.concerns.of(incident_id, reach, EVIDENCE_CANDIDATES);
        self.stored(&input, left_out, part)
    }

    /// As [`Self::evidence`], of an incident that is told, for its group if it leads one.
    pub(super) fn lead_evidence(&self, lead: Uuid) -> Value {
        let (mut input, mut left_out) = self.concerns.of(lead, Reach::Causes, EVIDENCE_CANDIDATES);
        if let Some(company) = self.company.get(&lead).filter(|_| left_out > 0) {
            (input, left_out) = self.concerns.of_member(lead, company, EVIDENCE_CANDIDATES);
        }
        self.stored(&input, left_out, &self.plan.about(lead))
    }

    /// As [`Self::evidence`], of an incident that comes into a group.
    pub(super) fn join_evidence(&self, join: &Join) -> Value {
        let company = match join.group {
            GroupRef::LedBy(lead) => self.company.get(&lead),
            GroupRef::Known(_) => None,
        };
        let part = Plan { joins: vec![join.clone()], ..Plan::default() };
        let mut evidence = match company {
            Some(company) => {
                let (input, left_out) = self.concerns.of_member(join.incident_id, company, 0);
                self.stored(&input, left_out, &part)
            }
            None => self.evidence(join.incident_id, Reach::Parents, &part),
        };
        if let Some(known) = self.id_of(join.group).and_then(|id| self.groups.get(&id)) {
            evidence["group"] = json!({ "id": known.id, "lead": known.lead_incident_id });
        }
        evidence
    }

    fn stored(&self, input: &Input, left_out: usize, part: &Plan) -> Value {
        json!({ "now": self.now, "input": input, "left_out": left_out, "plan": part })
    }
}
