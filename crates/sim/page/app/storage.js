// IndexedDB. `model-storage` holds what the client shows and owes, `wawc` the login,
// `signal-storage` the keys. Names of databases and of the message table are the real ones.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebStorage', (exports) => {
    const MODEL_VERSION = 1;
    const TABLES = ['message', 'chat', 'contact', 'group-metadata', 'outbox', 'lid-pn', 'meta', 'reactions', 'poll-votes', 'media-blob'];
    let opening = null;

    function request(idbRequest) {
      return new Promise((resolve, reject) => {
        idbRequest.onsuccess = () => resolve(idbRequest.result);
        idbRequest.onerror = () => reject(idbRequest.error);
      });
    }

    function finished(transaction) {
      return new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onerror = () => reject(transaction.error);
        transaction.onabort = () => reject(transaction.error ?? new Error('transaction aborted'));
      });
    }

    function open(name, version, upgrade) {
      const opened = indexedDB.open(name, version);
      opened.onupgradeneeded = () => upgrade(opened.result);
      return request(opened);
    }

    function databases() {
      opening ??= Promise.all([
        open('model-storage', MODEL_VERSION, (db) => {
          for (const table of TABLES) {
            const store = db.createObjectStore(table, { keyPath: 'id' });
            if (table === 'message') {
              store.createIndex('rowId', 'rowId');
              store.createIndex('chat', ['chatId', 'rowId']);
              store.createIndex('stanzaId', 'stanzaId');
            }
            if (table === 'outbox') store.createIndex('sequence', 'sequence', { unique: true });
          }
        }),
        open('wawc', 1, (db) => db.createObjectStore('user', { keyPath: 'key' })),
        open('signal-storage', 1, (db) => db.createObjectStore('signal-meta-store', { keyPath: 'key' })),
      ]).then(([models, user, signal]) => ({ models, user, signal }));
      return opening;
    }

    // Runs `work(table => objectStore)` in one transaction; resolves once it is committed: then it
    // outlives the browser, though not the machine, as on the real page.
    exports.write = async (tables, work) => {
      const { models } = await databases();
      const transaction = models.transaction(tables, 'readwrite', { durability: 'relaxed' });
      const done = finished(transaction);
      work((table) => transaction.objectStore(table));
      await done;
    };

    exports.put = (table, row) => exports.write([table], (store) => store(table).put(row));
    exports.putAll = (table, rows) => exports.write([table], (store) => {
      for (const row of rows) store(table).put(row);
    });
    exports.remove = (table, id) => exports.write([table], (store) => store(table).delete(id));

    exports.get = async (table, id) => {
      const { models } = await databases();
      return request(models.transaction(table).objectStore(table).get(id));
    };
    exports.getAll = async (table) => {
      const { models } = await databases();
      return request(models.transaction(table).objectStore(table).getAll());
    };
    exports.getAllByIndex = async (table, index, query) => {
      const { models } = await databases();
      return request(models.transaction(table).objectStore(table).index(index).getAll(query));
    };
    // Up to `count` rows of an index, from the end of `range` backwards or from its start forwards.
    exports.walk = async (table, index, range, direction, count) => {
      const { models } = await databases();
      const cursor = models.transaction(table).objectStore(table).index(index).openCursor(range, direction);
      const rows = [];
      return new Promise((resolve, reject) => {
        cursor.onerror = () => reject(cursor.error);
        cursor.onsuccess = () => {
          const at = cursor.result;
          if (!at || rows.length >= count) {
            resolve(rows);
            return;
          }
          rows.push(at.value);
          at.continue();
        };
      });
    };
    exports.lastKeyOf = async (table, index) => {
      const { models } = await databases();
      const cursor = models.transaction(table).objectStore(table).index(index).openKeyCursor(null, 'prev');
      const at = await request(cursor);
      return at?.key ?? 0;
    };

    exports.getUserPref = async (key) => {
      const { user } = await databases();
      return (await request(user.transaction('user').objectStore('user').get(key)))?.value;
    };
    exports.putUserPref = async (key, value) => {
      const { user } = await databases();
      const transaction = user.transaction('user', 'readwrite', { durability: 'strict' });
      transaction.objectStore('user').put({ key, value });
      await finished(transaction);
    };
    exports.getSignalRecord = async (key) => {
      const { signal } = await databases();
      return (await request(signal.transaction('signal-meta-store').objectStore('signal-meta-store').get(key)))?.value;
    };
    exports.putSignalRecord = async (key, value) => {
      const { signal } = await databases();
      const transaction = signal.transaction('signal-meta-store', 'readwrite');
      transaction.objectStore('signal-meta-store').put({ key, value });
      await finished(transaction);
    };

    // Forgets everything, at a logout.
    exports.wipe = async () => {
      const { models, user, signal } = await databases();
      for (const db of [models, user, signal]) {
        const names = [...db.objectStoreNames];
        const transaction = db.transaction(names, 'readwrite', { durability: 'strict' });
        for (const name of names) transaction.objectStore(name).clear();
        await finished(transaction);
      }
    };
  });
})();
