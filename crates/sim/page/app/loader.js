// The module system of the page.
//
// Like the real client's: modules are registered with `__d` and built when they are first asked
// for. `require` of a module that has nothing but a default export gives the default;
// `importNamespace` always gives the live exports object, on which a library may replace functions.
// Code of the page therefore never keeps a reference to another module's function: it goes through
// `use(id)` at every call.
//
// Two knobs break bindings for outsiders while the page itself keeps working, as after an update
// that renamed something: a removed module is not in the public registry, and a removed export is
// deleted from the public object. `use` still finds both.
'use strict';

const WAPage = (() => {
  const boot = readBootObject();
  const modules = new Map();
  const modulesMap = Object.create(null);
  const removedModules = new Set(boot.modules_removed);
  const retiredExports = new Map();

  function readBootObject() {
    const defaults = {
      web_version: '2.3000.1040125896',
      boot_delay_ms: 0,
      debug_present: true,
      msgkey_field: '_serialized',
      refuse_headless: false,
      filler_modules: 0,
      modules_removed: [],
      exports_removed: [],
      ws_path: '/ws/web',
    };
    const element = document.getElementById('sim-boot');
    try {
      return { ...defaults, ...JSON.parse(element.textContent) };
    } catch {
      return defaults;
    }
  }

  function defineModule(id, dependencies, factory, flags) {
    if (modules.has(id)) return;
    const entry = { id, dependencies, factory, flags, exports: {}, built: false, error: null };
    modules.set(id, entry);
    if (!removedModules.has(id)) modulesMap[id] = entry;
  }

  function build(entry) {
    if (entry.error) throw entry.error;
    if (entry.built) return entry.exports;
    // Set before the factory runs, so that two modules that need each other see partial exports.
    entry.built = true;
    const module = { id: entry.id, exports: entry.exports };
    try {
      entry.factory.call(
        globalThis, globalThis, requirePublic, importDefault, importNamespace, requireLazy,
        module, entry.exports,
      );
    } catch (error) {
      entry.error = error;
      throw error;
    }
    entry.exports = module.exports;
    for (const name of boot.exports_removed) {
      const { moduleId, exportName } = splitExportName(name);
      if (moduleId === entry.id) retireExport(entry, exportName);
    }
    return entry.exports;
  }

  function splitExportName(name) {
    const dot = name.lastIndexOf('.');
    return { moduleId: name.slice(0, dot), exportName: name.slice(dot + 1) };
  }

  function retireExport(entry, exportName) {
    if (!(exportName in entry.exports)) return;
    if (!retiredExports.has(entry.id)) retiredExports.set(entry.id, {});
    retiredExports.get(entry.id)[exportName] = entry.exports[exportName];
    delete entry.exports[exportName];
  }

  function lookUpPublic(id) {
    const entry = modulesMap[id];
    if (!entry) throw new Error(`Requiring unknown module "${id}".`);
    return build(entry);
  }

  function importNamespace(id) {
    return lookUpPublic(id);
  }

  function isDefaultOnly(exports) {
    const names = Object.keys(exports);
    return names.length === 1 && names[0] === 'default';
  }

  function importDefault(id) {
    const exports = lookUpPublic(id);
    return 'default' in exports ? exports.default : exports;
  }

  function requirePublic(id) {
    if (id === '__debug') return debugModule;
    const exports = lookUpPublic(id);
    return isDefaultOnly(exports) ? exports.default : exports;
  }

  function requireLazy(ids, callback) {
    queueMicrotask(() => callback(...ids.map(requirePublic)));
  }

  // The page's own look-up: the live exports, with what was taken from outsiders still in reach.
  function use(id) {
    const entry = modules.get(id);
    if (!entry) throw new Error(`Requiring unknown module "${id}".`);
    const exports = build(entry);
    const retired = retiredExports.get(id);
    if (!retired) return exports;
    return new Proxy(exports, {
      get: (target, name) => (name in target ? target[name] : retired[name]),
    });
  }

  // How the page's files register a module: `build(exports, use)`.
  function define(id, buildExports) {
    globalThis.__d(
      id, [],
      (_global, _require, _importDefault, _importNamespace, _requireLazy, _module, exports) => {
        buildExports(exports, use);
      },
      66,
    );
  }

  // A fault: the names vanish from the running page.
  function removeExports(names) {
    for (const name of names) {
      const { moduleId, exportName } = splitExportName(name);
      const entry = modules.get(moduleId);
      if (!entry) continue;
      build(entry);
      retireExport(entry, exportName);
    }
  }

  const debugModule = { modulesMap, modules: modulesMap };

  let guardsSkipped = false;
  globalThis.ErrorGuard = {
    skipGuardGlobal(skip) { guardsSkipped = Boolean(skip); },
    applyWithGuard(callback, context, args) {
      if (guardsSkipped) return callback.apply(context, args);
      try {
        return callback.apply(context, args);
      } catch (error) {
        console.error(error);
        return undefined;
      }
    },
  };
  // Assignments, not definitions: a library may have laid setter traps on these names.
  globalThis.importNamespace = importNamespace;
  globalThis.importDefault = importDefault;
  globalThis.requireLazy = requireLazy;
  globalThis.__d = defineModule;
  globalThis.require = requirePublic;

  return { boot, define, use, removeExports };
})();
