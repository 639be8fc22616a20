// What is asked of the gateway. Every answer that is no success becomes an
// Error with the sentence that the gateway gave.

export const bus = new EventTarget();

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `The gateway answered ${status}.`);
    this.status = status;
    this.code = problem.code;
  }
}

async function ask(method, path, body, headers = {}) {
  const options = { method, headers: { ...headers }, cache: 'no-store' };
  if (method !== 'GET') options.headers['X-Steadfast-Page'] = '1';
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    bus.dispatchEvent(new Event('unreachable'));
    throw new Error('The gateway cannot be reached.');
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && path !== '/login') bus.dispatchEvent(new Event('logged-out'));
  throw new Refused(response.status, problem);
}

const json = async (response) => (response.status === 204 ? null : response.json());

export const get = async (path) => json(await ask('GET', path));
export const post = async (path, body, headers) => json(await ask('POST', path, body, headers));
export const remove = async (path) => json(await ask('DELETE', path));
export const blob = async (path) => (await ask('GET', path)).blob();

export const at = encodeURIComponent;

// crypto.randomUUID is there over TLS and on this machine only.
export function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Who is logged in; set by app.js.
export const me = { scope: 'read' };
const RANK = { read: 0, send: 1, admin: 2 };
export const may = (scope) => RANK[me.scope] >= RANK[scope];
// Whether the token is for the whole gateway.
export const whole = () => me.sessions === null;
