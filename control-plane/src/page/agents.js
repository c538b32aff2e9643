// The fleet: who is there, and when each was last heard.

import { byId, keyed, make, setText } from "./dom.js";
import { ago } from "./words.js";

const COLUMNS = ["host", "region", "state", "heard", "version", "id"];

function create() {
  const cells = COLUMNS.map((name) => make(name === "host" ? "th" : "td", name));
  cells[0].scope = "row";
  return make("tr", "", ...cells);
}

// `lost` and silence are our trouble, not the targets'.
function standing(agent) {
  if (agent.state !== "enrolled") return agent.state_reason ? `${agent.state}: ${agent.state_reason}` : agent.state;
  if (agent.lost_at) return "lost";
  return agent.last_heartbeat_at ? "here" : "never heard";
}

function update(row, agent, now) {
  const state = standing(agent);
  row.dataset.standing = state === "here" ? "here" : agent.state === "revoked" ? "revoked" : "away";
  const texts = [agent.host_name, agent.region, state, ago(agent.last_heartbeat_at, now), agent.version, agent.id.slice(0, 8)];
  texts.forEach((text, index) => setText(row.children[index], text));
  row.lastElementChild.title = agent.id;
}

export function showAgents(agents, now) {
  byId("no-agents").hidden = agents.length > 0;
  byId("agents").hidden = agents.length === 0;
  keyed(byId("agent-rows"), agents, (agent) => agent.id, create, (row, agent) => update(row, agent, now));
}
