// How states, times and durations are put.

// A sign besides the colour, since not everybody sees the colour.
const SIGNS = { up: "✓", degraded: "!", down: "✕", unknown: "?" };

export const sign = (state) => SIGNS[state] ?? "?";

// Reasons whose word alone says too little; the first four are our own silence.
const REASONS = {
  unassigned: "no agent looks",
  pending: "no result yet",
  silent: "the agent is silent",
  missed: "checks were missed",
  status: "unexpected status",
  body: "unexpected body",
  latency: "too slow",
};

export const reasonText = (reason) => REASONS[reason] ?? (reason ?? "").replaceAll("_", " ");

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

export const ago = (time, now) => (time === null ? "never" : `${duration(now - Date.parse(time))} ago`);

export const clock = (time) =>
  new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const millis = (ms) => (ms < 10 ? `${ms.toFixed(ms < 1 ? 2 : 1)} ms` : `${Math.round(ms)} ms`);

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
