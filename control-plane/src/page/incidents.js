// Open incidents, the newest first.

import { byId, keyed, make, setText } from "./dom.js";
import { ago, clock, reasonText, sign } from "./words.js";

const SCOPES = { local: "in one place", regional: "in several regions", global: "everywhere" };

function create() {
  const head = make("div", "incident-head",
    make("span", "badge verdict"), make("strong", "subject"), make("span", "badge scope"), make("span", "badge handled"));
  return make("li", "incident", head, make("p", "what"), make("p", "shared"), make("p", "when"), make("ul", "chips"));
}

function update(item, incident, now) {
  item.dataset.verdict = incident.verdict === "up" ? "degraded" : incident.verdict;
  const part = (name) => item.querySelector(`.${name}`);
  // Too few regions hurt for a quorum: the verdict is not down, but "up" would
  // be an odd thing to read on an incident.
  const quiet = incident.verdict === "up";
  part("verdict").dataset.state = quiet ? "degraded" : incident.verdict;
  setText(part("verdict"), quiet ? "! quiet" : `${sign(incident.verdict)} ${incident.verdict}`);
  const { kind, name } = incident.subject;
  setText(part("subject"), kind === "monitor" ? name : `${kind} ${name}`);
  setText(part("scope"), incident.scope);
  part("scope").title = SCOPES[incident.scope] ?? "";
  part("handled").hidden = incident.state !== "acknowledged";
  const by = incident.acknowledged_by?.email;
  setText(part("handled"), by ? `acknowledged by ${by}` : "acknowledged");
  setText(part("what"), incident.summary);
  part("shared").hidden = incident.group === null;
  setText(part("shared"), incident.group === null ? "" : `One cause with others: ${incident.group.summary}`);
  setText(part("when"), `Began ${clock(incident.started_at)}, ${ago(incident.started_at, now)}`);
  keyed(part("chips"), incident.regions, (region) => region.region,
    () => make("li", "chip"),
    (chip, region) => {
      chip.dataset.state = region.state;
      const why = region.reason ? ` – ${reasonText(region.reason)}` : "";
      setText(chip, `${sign(region.state)} ${region.region}: ${region.state}${why}`);
    });
}

export function showIncidents(incidents, now) {
  byId("no-incidents").hidden = incidents.length > 0;
  keyed(byId("incidents"), incidents, (incident) => incident.id, create, (item, incident) => update(item, incident, now));
}
