'use strict';
WAPage.define('WAWebMessageAddons', (exports) => { exports.handlerOf = () => undefined; });
