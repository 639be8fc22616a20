// Events in the manner of Backbone: names separated by spaces, `once`, and a listener that throws
// is reported and does not keep the others from being told.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebEventEmitter', (exports) => {
    let muted = false;

    class EventEmitter {
      on(names, callback, context) {
        if (typeof callback !== 'function') {
          throw new TypeError('Callback parameter passed is not a function');
        }
        for (const name of names.split(/\s+/)) {
          const listeners = listenersOf(this);
          if (!listeners.has(name)) listeners.set(name, []);
          listeners.get(name).push({ callback, context });
        }
        return this;
      }

      addListener(names, callback, context) { return this.on(names, callback, context); }

      once(names, callback, context) {
        for (const name of names.split(/\s+/)) {
          const wrapped = (...args) => {
            this.off(name, wrapped);
            callback.apply(context ?? this, args);
          };
          wrapped.original = callback;
          this.on(name, wrapped, context);
        }
        return this;
      }

      off(names, callback, context) {
        const all = listenersOf(this);
        const chosen = names ? names.split(/\s+/) : [...all.keys()];
        for (const name of chosen) {
          const kept = (all.get(name) ?? []).filter((entry) => (
            (callback && entry.callback !== callback && entry.callback.original !== callback)
            || (context && entry.context !== context)
          ));
          if (kept.length > 0) all.set(name, kept);
          else all.delete(name);
        }
        return this;
      }

      removeListener(names, callback) { return this.off(names, callback); }

      listenTo(other, names, callback) {
        other.on(names, callback, this);
        return this;
      }

      stopListening(other, names, callback) {
        other?.off(names, callback, this);
        return this;
      }

      hasListeners(name) { return (this.__listeners?.get(name)?.length ?? 0) > 0; }

      trigger(name, ...args) {
        if (muted && this.canBeMuted) return this;
        const heard = this.__listeners?.get(name);
        if (heard) {
          for (const { callback, context } of [...heard]) {
            try {
              callback.apply(context ?? this, args);
            } catch (error) {
              setTimeout(() => { throw error; }, 0);
            }
          }
        }
        const everything = name === 'all' ? null : this.__listeners?.get('all');
        if (everything) for (const { callback } of [...everything]) callback(name, ...args);
        return this;
      }

      emit(name, ...args) { return this.trigger(name, ...args); }
    }

    function listenersOf(emitter) {
      if (!emitter.__listeners) {
        Object.defineProperty(emitter, '__listeners', { value: new Map(), enumerable: false });
      }
      return emitter.__listeners;
    }

    exports.default = EventEmitter;
    // A fault: models and collections keep their values right and tell nobody of a change.
    Object.defineProperty(exports, 'setMuted', {
      enumerable: false,
      value: (on) => { muted = Boolean(on); },
    });
  });

  define('WAWebBackendEventBus', (exports, use) => {
    const EventEmitter = use('WAWebEventEmitter').default;
    exports.BackendEventBus = new EventEmitter();
    exports.BackendEvent = Object.freeze({
      STREAM_MODE_CHANGED: 'stream_mode_changed', SOCKET_STATE_CHANGED: 'socket_state_changed',
      LOGOUT: 'logout', OFFLINE_PROGRESS: 'offline_progress',
    });
  });
})();
