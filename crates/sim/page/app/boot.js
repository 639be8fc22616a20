// Fetches the page's scripts in order and starts the application once all of them are there.
'use strict';

(() => {
  const FILES = [
    'enums', 'events', 'models', 'collections', 'wid', 'msg-key', 'prefs', 'storage', 'wire',
    'session', 'linking', 'contacts', 'messages', 'message-codec', 'chats', 'groups', 'send',
    'outbox', 'receive', 'receipts', 'history', 'queries', 'chat-actions', 'message-actions',
    'reactions-and-polls',    'media-data', 'media-prep', 'media-transfer', 'text-tools', 'people-and-lists', 'gating', 'faults',
    'qr', 'ui', 'main',
  ];

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = `/app/${name}.js`;
      script.async = false;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot load ${name}`));
      document.head.append(script);
    });
  }

  // Modules that mean nothing, so that a search over all of them costs what it costs on the real
  // page (13,000 there).
  function defineFillers(from, to) {
    for (let number = from; number < to; number += 1) {
      const id = `WAWebBundle${String(number).padStart(5, '0')}`;
      WAPage.define(id, (exports) => {
        exports.getValue = () => number;
        exports.default = () => null;
      });
    }
  }

  async function start() {
    const { boot_delay_ms: delay, filler_modules: fillers } = WAPage.boot;
    if (delay > 0) await new Promise((resolve) => { setTimeout(resolve, delay); });
    defineFillers(0, Math.floor(fillers / 2));
    await Promise.all(FILES.map(load));
    defineFillers(Math.floor(fillers / 2), fillers);
    await WAPage.use('WAWebMain').start();
  }

  start().catch((error) => {
    console.error('the page did not start', error);
  });
})();
