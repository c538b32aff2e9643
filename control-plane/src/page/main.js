// Asks every two seconds and shows the answers. When asking fails, the page
// says that what it shows is old, and since when: our own silence must not look
// like quiet.

import { showAgents } from "./agents.js";
import { byId, setText } from "./dom.js";
import { showIncidents } from "./incidents.js";
import { showMonitors } from "./monitors.js";
import { SignedOut, get, register, signIn, signOut, signedIn } from "./session.js";
import { duration, plural } from "./words.js";

const POLL_MS = 2000;
// Without a good answer for this long the page is stale.
const STALE_MS = 6000;
const PAGE = 200;
const MONITOR_PAGES = 5;

let board = null; // the newest answers
let answeredAt = null; // this browser's clock
let clockOffset = 0; // server's clock minus ours
let failure = "";
let timer = null;
let asking = false;

const now = () => Date.now() + clockOffset;

async function all(path, pages) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const next = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { body, serverTime } = await get(`${path}${next}`);
    clockOffset = serverTime - Date.now();
    items.push(...body.items);
    cursor = body.next_cursor;
    if (cursor === null) break;
  }
  return { items, more: cursor !== null };
}

async function ask() {
  const [monitors, incidents, agents] = await Promise.all([
    all(`/api/v1/overview?limit=${PAGE}`, MONITOR_PAGES),
    all(`/api/v1/incidents?state=unresolved&limit=${PAGE}`, 1),
    all(`/api/v1/agents?limit=${PAGE}`, 1),
  ]);
  board = { monitors, incidents, agents };
  answeredAt = Date.now();
  failure = "";
}

async function poll() {
  if (asking || !signedIn()) return;
  asking = true;
  clearTimeout(timer);
  try {
    await ask();
  } catch (error) {
    if (error instanceof SignedOut) return leave("Your session has ended. Sign in again.");
    failure = error.name === "TimeoutError" ? "the server does not answer" : "the server cannot be reached or refuses";
  } finally {
    asking = false;
  }
  show();
  timer = setTimeout(poll, POLL_MS);
}

function summary({ monitors, agents }) {
  const standing = (monitor) => (monitor.enabled ? monitor.verdict : "disabled");
  const count = (state) => monitors.items.filter((monitor) => standing(monitor) === state).length;
  const parts = ["down", "degraded", "unknown", "up", "disabled"].filter(count).map((state) => `${count(state)} ${state}`);
  const here = agents.items.filter((agent) => agent.state === "enrolled" && !agent.lost_at && agent.last_heartbeat_at);
  return [plural(monitors.items.length, "monitor", "monitors"), ...parts, `${plural(here.length, "agent", "agents")} here`].join(" · ");
}

function showLife() {
  const age = answeredAt === null ? null : Date.now() - answeredAt;
  const stale = age === null ? failure !== "" : age > STALE_MS;
  document.body.classList.toggle("stale", stale);
  byId("live").hidden = age === null;
  setText(byId("live-text"), stale ? `stale, ${duration(age ?? 0)} old` : "live");
  // No running count here: a screen reader would read it out each second.
  const shown = age === null ? "Nothing is known yet." : `What is shown was true at ${new Date(answeredAt).toLocaleTimeString()} and may be wrong now.`;
  setText(byId("alert"), stale ? `Not live: ${failure || "no answer yet"}. ${shown}` : "");
}

function show() {
  if (!signedIn()) return;
  byId("entrance").hidden = true;
  byId("sign-out").hidden = false;
  showLife();
  if (board === null) return;
  byId("board").hidden = false;
  setText(byId("summary"), summary(board));
  showIncidents(board.incidents.items, now());
  showMonitors(board.monitors.items, board.monitors.more, now());
  showAgents(board.agents.items, now());
  const down = board.incidents.items.length;
  document.title = down > 0 ? `(${down}) HyperVerge` : "HyperVerge";
}

function leave(message) {
  clearTimeout(timer);
  board = null;
  answeredAt = null;
  failure = "";
  document.title = "HyperVerge";
  document.body.classList.remove("stale");
  for (const id of ["board", "live", "sign-out"]) byId(id).hidden = true;
  setText(byId("alert"), "");
  setText(byId("refusal"), message);
  byId("entrance").hidden = false;
  byId("email").focus();
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target, event.submitter);
  const enter = form.get("action") === "register" ? register : signIn;
  const buttons = event.target.querySelectorAll("button");
  setText(byId("refusal"), "");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await enter(form.get("email"), form.get("password"));
    byId("password").value = "";
    await poll();
    byId("content").focus({ preventScroll: true });
  } catch (error) {
    setText(byId("refusal"), `Not signed in: ${error.message}.`);
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
});

byId("sign-out").addEventListener("click", async () => {
  await signOut();
  leave("");
});

document.addEventListener("board-changed", show);
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
// Ages go on while nothing is answered.
setInterval(() => { if (board !== null) show(); }, 1000);

if (signedIn()) poll();
else leave("");
