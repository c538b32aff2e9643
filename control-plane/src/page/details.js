// What a region's newest check took, phase by phase.

import { keyed, make, setText } from "./dom.js";
import { ago, clock, millis, reasonText } from "./words.js";

const PHASES = [
  ["resolve", "name"],
  ["connect", "connect"],
  ["tls", "TLS"],
  ["processing", "first byte"],
  ["transfer", "transfer"],
];

export function closedDetails(columns) {
  const bar = make("div", "bar");
  bar.setAttribute("aria-hidden", "true");
  const cell = make("td", "", make("p", "found"), bar, make("dl", "phases"), make("p", "message"));
  cell.colSpan = columns;
  const row = make("tr", "details", cell);
  row.hidden = true;
  return row;
}

export function showDetails(row, seat, columns, now) {
  row.hidden = !seat;
  if (!seat) return;
  row.firstElementChild.colSpan = columns;
  setText(row.querySelector(".found"), sentence(seat, now));
  setText(row.querySelector(".message"), seat.message ?? "");
  const taken = PHASES.filter(([phase]) => typeof seat.phases?.[phase] === "number");
  // Shares of a hundred: below 1 in all, flex-grow would leave the bar unfilled.
  const total = taken.reduce((sum, [phase]) => sum + seat.phases[phase], 0) || 1;
  keyed(row.querySelector(".bar"), taken, ([phase]) => phase, ([phase]) => make("span", phase),
    (part, [phase]) => part.style.setProperty("flex-grow", String((seat.phases[phase] / total) * 100)));
  keyed(row.querySelector(".phases"), taken, ([phase]) => phase,
    ([phase, name]) => make("div", phase, make("dt", "", name), make("dd")),
    (part, [phase]) => setText(part.querySelector("dd"), millis(seat.phases[phase])));
}

function sentence(seat, now) {
  const since = seat.since ? ` since ${clock(seat.since)}` : "";
  const why = seat.reason ? ` (${reasonText(seat.reason)})` : "";
  const last = seat.last_result_at ? `Its newest check began ${ago(seat.last_result_at, now)}.` : "It has no result yet.";
  return `${seat.region} says ${seat.state}${why}${since}. ${last}`;
}
