// Who is signed in, and requests in their name.
//
// The tokens live in this tab alone and end with it. A refresh token is good
// once, so only one refresh is ever under way.

const STORE = "hyperverge-session";
const TIMEOUT_MS = 8000;

let tokens = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
let refreshing = null;

export class SignedOut extends Error {}

export const signedIn = () => tokens !== null;

function keep(next) {
  tokens = next;
  if (next === null) sessionStorage.removeItem(STORE);
  else sessionStorage.setItem(STORE, JSON.stringify(next));
}

function send(method, path, body, token) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: "no-store",
  });
}

// What a refusal says, in words for people.
async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const fields = (problem.errors ?? []).map((error) => `${error.field} ${error.rule}`);
  return fields.join("; ") || problem.detail || `the server answered ${response.status}`;
}

export async function signIn(email, password) {
  const response = await send("POST", "/auth/login", { email, password });
  if (!response.ok) throw new Error(await refusal(response));
  keep(await response.json());
}

export async function register(email, password) {
  const response = await send("POST", "/auth/register", { email, password });
  if (!response.ok) throw new Error(await refusal(response));
  await signIn(email, password);
}

export async function signOut() {
  const token = tokens?.access_token;
  keep(null);
  if (token) await send("POST", "/auth/logout", undefined, token).catch(() => {});
}

async function refresh() {
  const response = await send("POST", "/auth/refresh", { refresh_token: tokens.refresh_token });
  if (response.status === 401) {
    keep(null);
    throw new SignedOut();
  }
  if (!response.ok) throw new Error(await refusal(response));
  keep(await response.json());
}

// One GET; the parsed body and the server's time.
export async function get(path) {
  if (tokens === null) throw new SignedOut();
  let response = await send("GET", path, undefined, tokens.access_token);
  if (response.status === 401) {
    refreshing ??= refresh().finally(() => { refreshing = null; });
    await refreshing;
    response = await send("GET", path, undefined, tokens.access_token);
  }
  if (!response.ok) throw new Error(await refusal(response));
  const date = Date.parse(response.headers.get("Date") ?? "");
  return { body: await response.json(), serverTime: Number.isNaN(date) ? Date.now() : date };
}
