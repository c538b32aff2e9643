// The grid: a row for each monitor, a column for each region.

import { byId, keyed, make, setAttribute, setText } from "./dom.js";
import { closedDetails, showDetails } from "./details.js";
import { ago, duration, reasonText, sign } from "./words.js";

// Which cell is open: monitor id and region, or null.
let open = null;

function createBody(columns) {
  const name = make("th", "monitor", make("span", "name"), make("span", "target"));
  name.scope = "row";
  const verdict = make("td", "verdict-cell", make("span", "badge verdict"), make("span", "since"));
  return make("tbody", "", make("tr", "row", name, verdict), closedDetails(columns));
}

function createCell() {
  const button = make("button", "cell", make("span", "state"), make("span", "age"));
  button.type = "button";
  button.addEventListener("click", () => toggle(button));
  return make("td", "seat", button);
}

function toggle(button) {
  const body = button.closest("tbody");
  const cell = { monitor: body.dataset.key, region: button.parentElement.dataset.region };
  const same = open && open.monitor === cell.monitor && open.region === cell.region;
  open = same ? null : cell;
  document.dispatchEvent(new Event("board-changed"));
}

function updateCell(cell, region, seat, monitor, now) {
  cell.dataset.region = region;
  const button = cell.firstElementChild;
  button.hidden = !seat || !monitor.enabled;
  if (button.hidden) return;
  button.dataset.state = seat.state;
  const isOpen = open?.monitor === monitor.id && open.region === region;
  const age = seat.last_result_at ? ago(seat.last_result_at, now) : reasonText(seat.reason) || "no result yet";
  setText(button.querySelector(".state"), `${sign(seat.state)} ${seat.state}`);
  setText(button.querySelector(".age"), age);
  const why = seat.reason ? `, ${reasonText(seat.reason)}` : "";
  setAttribute(button, "aria-expanded", String(isOpen));
  setAttribute(button, "aria-label", `${monitor.name} from ${region}: ${seat.state}${why}, last result ${age}`);
  setAttribute(button, "title", seat.message ?? `${seat.state}${why}`);
}

function updateBody(body, monitor, regions, now) {
  const row = body.querySelector(".row");
  row.classList.toggle("disabled", !monitor.enabled);
  setText(row.querySelector(".name"), monitor.name);
  setText(row.querySelector(".target"), monitor.target);
  const badge = row.querySelector(".verdict");
  badge.dataset.state = monitor.verdict;
  const scope = monitor.scope ? ` · ${monitor.scope}` : "";
  setText(badge, monitor.enabled ? `${sign(monitor.verdict)} ${monitor.verdict}${scope}` : "disabled");
  setText(row.querySelector(".since"), `for ${duration(now - Date.parse(monitor.since))}`);
  const seats = new Map(monitor.items.map((seat) => [seat.region, seat]));
  while (row.children.length > regions.length + 2) row.lastElementChild.remove();
  while (row.children.length < regions.length + 2) row.append(createCell());
  regions.forEach((region, index) => {
    updateCell(row.children[index + 2], region, seats.get(region), monitor, now);
  });
  const seat = monitor.enabled && open?.monitor === monitor.id ? seats.get(open.region) : undefined;
  showDetails(body.querySelector(".details"), seat, regions.length + 2, now);
}

export function showMonitors(monitors, more, now) {
  const regions = [...new Set(monitors.flatMap((monitor) => monitor.items.map((seat) => seat.region)))].sort();
  byId("no-monitors").hidden = monitors.length > 0;
  byId("monitors-scroll").hidden = monitors.length === 0;
  byId("more-monitors").hidden = !more;
  setText(byId("more-monitors"), `Only the first ${monitors.length} are shown here; the API has them all.`);
  keyed(byId("regions"), ["Monitor", "Verdict", ...regions], (heading) => heading,
    () => { const heading = make("th"); heading.scope = "col"; return heading; },
    (heading, text) => setText(heading, text));
  const table = byId("monitors");
  for (const fixed of [table.caption, table.tHead]) fixed.dataset.key ??= fixed.tagName;
  const rows = [{ id: "CAPTION" }, { id: "THEAD" }, ...monitors];
  keyed(table, rows, (row) => row.id, () => createBody(regions.length + 2),
    (body, row) => { if (row.items) updateBody(body, row, regions, now); });
}
