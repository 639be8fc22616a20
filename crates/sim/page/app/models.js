// Observable models. A model keeps each attribute in `__x_<name>` behind an accessor `<name>`;
// setting one fires `change:<name>` (model, value, previous) and then `change` (model), on the
// model and on the collections that hold it. A model that is the attribute of another one makes
// its changes heard there as `change:<attribute>.<name>`.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebBaseModel', (exports, use) => {
    const EventEmitter = use('WAWebEventEmitter').default;

    class BaseModel extends EventEmitter {
      constructor(attributes = {}, options = {}) {
        super();
        hide(this, '__names', new Set());
        hide(this, '__holders', new Set());
        hide(this, '__parents', []);
        for (const [name, value] of Object.entries(this.constructor.defaults?.() ?? {})) {
          write(this, name, value);
        }
        this.set(attributes, { silent: true });
        this.initialize?.(options);
      }

      get attributes() {
        const all = {};
        for (const name of this.__names ?? []) all[name] = this[`__x_${name}`];
        return all;
      }

      set(names, value, options = {}) {
        const changes = typeof names === 'string' ? { [names]: value } : { ...names };
        const { silent = false } = typeof names === 'string' ? options : (value ?? {});
        const changed = [];
        for (const [name, next] of Object.entries(changes)) {
          // Somebody has spread a model: the attribute itself comes under its plain name.
          if (name.startsWith('__x_')) continue;
          const previous = this[`__x_${name}`];
          if (previous === next || previous?.equals?.(next)) continue;
          write(this, name, next);
          changed.push([name, next, previous]);
        }
        if (silent || changed.length === 0) return this;
        for (const [name, next, previous] of changed) {
          announce(this, `change:${name}`, [this, next, previous]);
        }
        announce(this, 'change', [this]);
        return this;
      }

      unset(name, options) { return this.set({ [name]: undefined }, options); }

      // Nested models and collections as their attributes; addresses and keys stay what they are.
      serialize() {
        const plain = {};
        for (const name of this.__names) plain[name] = serializeValue(this[`__x_${name}`]);
        return plain;
      }

      toJSON() { return this.serialize(); }

      unsafe() { return this; }

      safe() { return this; }

      delete() {
        for (const collection of [...this.__holders]) collection.remove(this);
      }
    }
    BaseModel.prototype.__props = [];
    BaseModel.prototype.canBeMuted = true;

    function hide(object, name, value) {
      Object.defineProperty(object, name, { value, enumerable: false, writable: true });
    }

    function write(model, name, value) {
      const key = `__x_${name}`;
      const previous = model[key];
      if (previous instanceof BaseModel) {
        previous.__parents = previous.__parents.filter((link) => link.model !== model || link.name !== name);
      }
      model[key] = value;
      model.__names.add(name);
      if (!(name in model)) {
        Object.defineProperty(model, name, accessorOf(name));
      }
      if (value instanceof BaseModel) value.__parents.push({ model, name });
    }

    function accessorOf(name) {
      return {
        configurable: true,
        enumerable: false,
        get() { return this[`__x_${name}`]; },
        set(value) { this.set({ [name]: value }); },
      };
    }

    function announce(model, event, args) {
      model.trigger(event, ...args);
      for (const collection of model.__holders) collection.trigger(event, ...args);
      if (event === 'change') return;
      for (const { model: parent, name } of model.__parents) {
        announce(parent, `change:${name}.${event.slice('change:'.length)}`, args);
      }
    }

    function serializeValue(value) {
      if (value === null || typeof value !== 'object') {
        return typeof value === 'function' ? undefined : value;
      }
      if (typeof value.serialize === 'function') return value.serialize();
      if (Array.isArray(value)) return value.map(serializeValue);
      if (Object.getPrototypeOf(value) === Object.prototype) {
        return Object.fromEntries(
          Object.entries(value).map(([name, inner]) => [name, serializeValue(inner)]),
        );
      }
      return value;
    }

    // Declares the attributes of a model class: accessors, `proxyName` and `__props`.
    function defineModel(modelClass, proxyName, names) {
      modelClass.prototype.proxyName = proxyName;
      modelClass.prototype.__props = [...names];
      for (const name of names) {
        Object.defineProperty(modelClass.prototype, name, accessorOf(name));
      }
      return modelClass;
    }

    exports.BaseModel = BaseModel;
    exports.defineModel = defineModel;
    exports.serializeValue = serializeValue;
    exports.announce = announce;
  });

  define('WAWebStateUtils', (exports) => {
    exports.unproxy = (model) => model;
  });
})();
