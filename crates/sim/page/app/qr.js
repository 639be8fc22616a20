'use strict';
WAPage.define('WAWebQrCode', (exports) => { exports.drawQr = () => {}; });
