// The connection to the server: one WebSocket at a time, with heartbeat and backoff, and queries
// answered by number. PROTOCOL.md describes the frames; what they mean is for the listeners.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebWire', (exports, use) => {
    const EventEmitter = use('WAWebEventEmitter').default;
    // How long a query waits for a login and an answer, as the client's own requests do.
    const QUERY_TIMEOUT_MS = 60_000;

    let config = {
      ping_ms: 15_000, ping_timeout_ms: 10_000, reconnect_min_ms: 250, reconnect_max_ms: 10_000,
      send_timeout_ms: 0, server_t: 0,
    };
    let socket = null;
    let attempts = 0;
    let retryTimer = null;
    let pingTimer = null;
    let pongTimer = null;
    let pingNumber = 0;
    let nextRid = 1;
    let loggedIn = false;
    let stopped = false;
    let helloSource = null;
    const waiting = new Map();
    const unsentQueries = [];

    // Fires: `frame` (frame), `open`, `lost` ({ retryInMs, silent }), `retry`.
    exports.events = new EventEmitter();
    exports.getConfig = () => config;
    exports.isOpen = () => socket?.readyState === WebSocket.OPEN;
    exports.isLoggedIn = () => loggedIn && exports.isOpen();

    // `hello()` makes the first frame of every connection.
    exports.start = (hello) => {
      helloSource = hello;
      stopped = false;
      connect();
    };

    exports.reconnectNow = () => {
      stopped = false;
      attempts = 0;
      close();
      connect();
    };

    // Closes and stays closed until `reconnectNow`.
    exports.stop = () => {
      stopped = true;
      clearTimeout(retryTimer);
      close();
    };

    exports.setLoggedIn = (on) => {
      loggedIn = on;
      if (on) attempts = 0;
      if (on) for (const frame of unsentQueries.splice(0)) exports.send(frame);
    };

    // Whether the frame was handed to an open socket.
    exports.send = (frame) => {
      if (!exports.isOpen()) return false;
      socket.send(JSON.stringify(frame));
      return true;
    };

    // A question with one answer. Waits for the login unless `early`. Rejects with `code` where
    // the server refuses, and with code -1 where no answer comes in time.
    exports.query = (name, members = {}, { op = 'query', early = false } = {}) => {
      const rid = nextRid;
      nextRid += 1;
      const frame = op === 'query' ? { op, rid, q: name, ...members } : { op, rid, ...members };
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(rid);
          reject(makeError(-1, 'timed out', name));
        }, QUERY_TIMEOUT_MS);
        waiting.set(rid, { resolve, reject, timer, name, frame });
        if (early || exports.isLoggedIn()) exports.send(frame);
        else unsentQueries.push(frame);
      });
    };

    function makeError(code, text, name) {
      const error = new Error(`${name}: ${text}`);
      error.name = 'ServerStatusCodeError';
      error.code = code;
      error.status = code;
      error.statusCode = code;
      return error;
    }

    function connect() {
      clearTimeout(retryTimer);
      if (stopped) return;
      const current = new WebSocket(`wss://${location.host}${WAPage.boot.ws_path}`);
      socket = current;
      current.onopen = () => {
        if (socket !== current) return;
        current.send(JSON.stringify({ op: 'hello', ...helloSource() }));
        exports.events.trigger('open');
        schedulePing();
      };
      current.onmessage = (event) => {
        if (socket === current) receive(JSON.parse(event.data));
      };
      current.onclose = () => {
        if (socket === current) lost(false);
      };
    }

    function close() {
      clearTimeout(pingTimer);
      forgetPong();
      loggedIn = false;
      const old = socket;
      socket = null;
      old?.close();
      failQueries();
    }

    // Questions that had been sent on the old connection get no answer any more.
    function failQueries() {
      for (const [rid, entry] of waiting) {
        if (unsentQueries.includes(entry.frame)) continue;
        waiting.delete(rid);
        clearTimeout(entry.timer);
        entry.reject(makeError(-1, 'connection lost', entry.name));
      }
    }

    function lost(silent) {
      close();
      if (stopped) return;
      const retryInMs = Math.min(
        config.reconnect_min_ms * 2 ** Math.min(attempts, 20), config.reconnect_max_ms,
      );
      attempts += 1;
      exports.events.trigger('lost', { retryInMs, silent, attempts });
      retryTimer = setTimeout(() => {
        exports.events.trigger('retry');
        connect();
      }, retryInMs);
    }

    function receive(frame) {
      switch (frame.op) {
        case 'config':
          config = { ...config, ...frame };
          use('WATimeUtils').setServerTime(frame.server_t);
          schedulePing();
          break;
        case 'pong':
          forgetPong();
          break;
        case 'result':
          settle(frame);
          break;
        default:
          exports.events.trigger('frame', frame);
      }
    }

    function settle(frame) {
      const entry = waiting.get(frame.rid);
      if (!entry) return;
      waiting.delete(frame.rid);
      clearTimeout(entry.timer);
      if (frame.ok) entry.resolve(frame);
      else entry.reject(makeError(frame.code, frame.text, entry.name));
    }

    function schedulePing() {
      clearTimeout(pingTimer);
      pingTimer = setTimeout(() => {
        pingNumber += 1;
        if (!exports.send({ op: 'ping', n: pingNumber })) return;
        // An earlier ping may still wait for its answer: its time is what counts.
        pongTimer ??= setTimeout(() => lost(true), config.ping_timeout_ms);
        schedulePing();
      }, config.ping_ms);
    }

    function forgetPong() {
      clearTimeout(pongTimer);
      pongTimer = null;
    }

    // The network's own news: try at once when it is back.
    globalThis.addEventListener('online', () => {
      if (!stopped && helloSource && !exports.isOpen()) exports.reconnectNow();
    });
  });
})();
