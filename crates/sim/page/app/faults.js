// Faults that only a page can have, as the control side asks for them.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebFaults', (exports, use) => {
    const throws = { before: 0, after: 0, text: '' };
    let hangs = 0;

    exports.obey = (frame) => {
      // So that whoever asked for it knows when it is in force.
      use('WAWebWire').send({ op: 'log', level: 'info', text: `fault ${frame.kind}` });
      switch (frame.kind) {
        case 'hang': spin(frame.ms); break;
        case 'force_state': use('WAWebSocketModel').Socket.set({ state: frame.state }); break;
        case 'force_stream': use('WAWebStreamModel').Stream.set({ mode: frame.mode }); break;
        case 'reload': location.reload(); break;
        case 'navigate': location.href = frame.url; break;
        case 'close_page': globalThis.close(); break;
        case 'throw_on_send':
          throws[frame.when === 'after' ? 'after' : 'before'] = frame.count;
          throws.text = frame.text;
          break;
        case 'hang_send': hangs = frame.count; break;
        case 'remove_exports': WAPage.removeExports(frame.names); break;
        case 'lose_store':
          localStorage.clear();
          use('WAWebStorage').wipe();
          break;
        case 'mute_events': use('WAWebEventEmitter').setMuted(frame.on); break;
        default:
          use('WAWebWire').send({ op: 'log', level: 'error', text: `unknown fault ${frame.kind}` });
      }
    };

    function spin(ms) {
      const end = ms > 0 ? performance.now() + ms : Infinity;
      while (performance.now() < end);
    }

    // The error that a send has to throw at this point, if it has to.
    exports.takeThrowOnSend = (when) => {
      if (throws[when] <= 0) return null;
      throws[when] -= 1;
      return new Error(throws.text || 'simulated failure');
    };

    // The promise of a send, or one that never settles.
    exports.hangIfAsked = (result) => {
      if (hangs <= 0) return result;
      hangs -= 1;
      return new Promise(() => {});
    };
  });
})();
