// What a region's newest check took, phase by phase.

import { keyed, make, setText } from "./dom.js";
import { ago, clock, duration, millis, reasonText } from "./words.js";

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
  const cell = make("td", "", make("p", "found"), bar, make("dl", "phases"), make("p", "message"), make("dl", "facts"));
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
  keyed(row.querySelector(".facts"), facts(seat.details, now), ([term]) => term,
    ([term]) => make("div", "", make("dt", "", term), make("dd")),
    (part, [, text]) => setText(part.querySelector("dd"), text));
  const taken = PHASES.filter(([phase]) => typeof seat.phases?.[phase] === "number");
  // Shares of a hundred: below 1 in all, flex-grow would leave the bar unfilled.
  const total = taken.reduce((sum, [phase]) => sum + seat.phases[phase], 0) || 1;
  keyed(row.querySelector(".bar"), taken, ([phase]) => phase, ([phase]) => make("span", phase),
    (part, [phase]) => part.style.setProperty("flex-grow", String((seat.phases[phase] / total) * 100)));
  keyed(row.querySelector(".phases"), taken, ([phase]) => phase,
    ([phase, name]) => make("div", phase, make("dt", "", name), make("dd")),
    (part, [phase]) => setText(part.querySelector("dd"), millis(seat.phases[phase])));
}

// What the kind tells beside its phases, as [term, text].
function facts(details, now) {
  const { http, tls, dns, icmp } = details ?? {};
  const found = [];
  if (http) found.push(["HTTP", http.version]);
  if (tls) {
    found.push(["TLS", `${tls.version}, ${tls.cipher}`]);
    found.push(["Certificate", `${tls.subject} from ${tls.issuer}, ${expiry(tls.leaf_expires_s, now)}`]);
    if (tls.chain_expires_s < tls.leaf_expires_s) found.push(["Chain", expiry(tls.chain_expires_s, now)]);
    found.push(["Fingerprint", tls.fingerprint]);
  }
  if (dns) {
    const ttl = typeof dns.ttl_s === "number" ? `, good for ${duration(dns.ttl_s * 1000)}` : "";
    found.push(["Answer", `${dns.rcode}${dns.authoritative ? ", with authority" : ""}${ttl}`]);
    if (dns.answers.length > 0) found.push(["Records", dns.answers.join(" · ")]);
  }
  if (icmp) {
    found.push(["Replies", `${icmp.received} of ${icmp.sent}`]);
    const trips = [["least", icmp.min_us], ["mean", icmp.mean_us], ["most", icmp.max_us], ["jitter", icmp.jitter_us]]
      .filter(([, us]) => typeof us === "number").map(([word, us]) => `${word} ${millis(us / 1000)}`);
    if (trips.length > 0) found.push(["Round trips", trips.join(", ")]);
  }
  return found;
}

const expiry = (seconds, now) =>
  seconds * 1000 < now ? `expired ${duration(now - seconds * 1000)} ago` : `good for ${duration(seconds * 1000 - now)}`;

function sentence(seat, now) {
  const since = seat.since ? ` since ${clock(seat.since)}` : "";
  const why = seat.reason ? ` (${reasonText(seat.reason)})` : "";
  const last = seat.last_result_at ? `Its newest check began ${ago(seat.last_result_at, now)}.` : "It has no result yet.";
  return `${seat.region} says ${seat.state}${why}${since}. ${last}`;
}
