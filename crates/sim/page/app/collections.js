// Collections of models: ordered, indexed by the text of the id, forwarding the events of what
// they hold.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebCollection', (exports, use) => {
    const EventEmitter = use('WAWebEventEmitter').default;

    class Collection extends EventEmitter {
      constructor() {
        super();
        if (!this.constructor.model) throw new Error('Collection initialized without model');
        this._models = [];
        this._index = Object.create(null);
      }

      get modelClass() { return this.constructor.model; }

      get length() { return this._models.length; }

      get(id) {
        if (id === undefined || id === null) return undefined;
        if (id instanceof this.modelClass) return this._index[String(id.id)];
        return this._index[String(id)];
      }

      add(items, options = {}) {
        const { announce } = use('WAWebBaseModel');
        const added = [];
        let ordered = true;
        for (const item of Array.isArray(items) ? items : [items]) {
          const known = this.get(item.id);
          if (known) {
            if (options.merge && known !== item) {
              known.set(item instanceof this.modelClass ? item.attributes : item);
            }
            added.push(known);
            continue;
          }
          const model = item instanceof this.modelClass ? item : new this.modelClass(item);
          ordered &&= this.belongsLast(model);
          this._models.push(model);
          this._index[String(model.id)] = model;
          model.__holders.add(this);
          model.collection ??= this;
          added.push(model);
          if (!options.silent) announceTo(this, announce, model, options);
        }
        if (!ordered) this.sort({ silent: true });
        return Array.isArray(items) ? added : added[0];
      }

      belongsLast(model) {
        const { comparator } = this.constructor;
        return !comparator || this.length === 0 || comparator(this.last(), model) <= 0;
      }

      gadd(id, options = {}) { return this.get(id) ?? this.add({ id }, options); }

      async find(id) { return this.get(id) ?? this.gadd(id); }

      assertGet(id) {
        const model = this.get(id);
        if (!model) throw new Error(`no model with the id ${id}`);
        return model;
      }

      remove(items, options = {}) {
        const gone = new Set();
        for (const item of Array.isArray(items) ? items : [items]) {
          const model = this.get(item);
          if (!model) continue;
          gone.add(model);
          delete this._index[String(model.id)];
          model.__holders.delete(this);
        }
        if (gone.size === 0) return;
        this._models = this._models.filter((model) => !gone.has(model));
        if (options.silent) return;
        for (const model of gone) this.trigger('remove', model, this, options);
      }

      forgetKey(id) { delete this._index[String(id)]; }

      // Files a model under another id, without events: only how it is addressed has changed.
      rekey(model, id) {
        this.forgetKey(model.id);
        model.set({ id }, { silent: true });
        this._index[String(id)] = model;
      }

      reset(options = {}) {
        for (const model of this._models) model.__holders.delete(this);
        this._models = [];
        this._index = Object.create(null);
        if (!options.silent) this.trigger('reset', this);
      }

      sort(options = {}) {
        if (this.constructor.comparator) this._models.sort(this.constructor.comparator);
        if (!options.silent) this.trigger('sort', this);
      }

      getModelsArray() { return [...this._models]; }

      toArray() { return [...this._models]; }

      forEach(callback, context) { this._models.forEach(callback, context); }

      map(callback, context) { return this._models.map(callback, context); }

      filter(callback, context) { return this._models.filter(callback, context); }

      some(callback, context) { return this._models.some(callback, context); }

      every(callback, context) { return this._models.every(callback, context); }

      reduce(callback, first) { return this._models.reduce(callback, first); }

      includes(model) { return this._models.includes(model); }

      indexOf(model) { return this._models.indexOf(model); }

      at(index) { return this._models[index]; }

      head() { return this._models[0]; }

      last() { return this._models[this._models.length - 1]; }

      findFirst(callback) { return this._models.find(callback); }

      where(attributes) {
        const wanted = Object.entries(attributes);
        return this._models.filter((model) => wanted.every(([name, value]) => model[name] === value));
      }

      [Symbol.iterator]() { return this._models[Symbol.iterator](); }

      serialize() { return this._models.map((model) => model.serialize()); }

      toJSON() { return this.serialize(); }
    }

    Collection.prototype.canBeMuted = true;

    function announceTo(collection, announce, model, options) {
      model.trigger('add', model, collection, options);
      collection.trigger('add', model, collection, options);
    }

    exports.default = Collection;
  });

  define('WAWebBaseCollection', (exports, use) => {
    const Collection = use('WAWebCollection').default;
    exports.BaseCollection = class BaseCollection extends Collection {};
  });
})();
