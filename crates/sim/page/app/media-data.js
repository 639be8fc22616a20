'use strict';
(() => {
  const { define } = WAPage;
  define('WAWebMediaDataModel', (exports) => { exports.attach = () => {}; });
})();
