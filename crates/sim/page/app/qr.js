// Draws a QR code (ISO/IEC 18004: byte mode, error correction L, versions 1 to 20).
'use strict';

(() => {
  const { define } = WAPage;
  const QUIET_ZONE = 4;
  const PIXELS_PER_MODULE = 4;
  // For level L, by version: error correction codewords in a block, and blocks (table 9).
  const ECC_PER_BLOCK = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
  const BLOCKS = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];
  const FORMAT_BITS_OF_L = 0b01;

  // Arithmetic in GF(256) with the polynomial of the standard.
  const EXP = new Uint8Array(512);
  const LOG = new Uint8Array(256);
  for (let power = 0, value = 1; power < 255; power += 1) {
    EXP[power] = value;
    EXP[power + 255] = value;
    LOG[value] = power;
    value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
  }
  const multiply = (one, other) => (one && other ? EXP[LOG[one] + LOG[other]] : 0);

  // All modules that carry data or correction.
  function rawBits(version) {
    const size = 17 + 4 * version;
    let bits = size * size - 3 * 64 - 2 * 15 - 1 - 2 * (size - 16);
    if (version >= 2) {
      const centres = Math.floor(version / 7) + 2;
      bits -= 25 * (centres * centres - 3) - 10 * (centres - 2);
    }
    if (version >= 7) bits -= 36;
    return bits;
  }

  const codewordsOf = (version) => Math.floor(rawBits(version) / 8);
  const dataCodewordsOf = (version) => codewordsOf(version) - ECC_PER_BLOCK[version - 1] * BLOCKS[version - 1];

  function versionFor(length) {
    for (let version = 1; version <= BLOCKS.length; version += 1) {
      const headerBits = 4 + (version < 10 ? 8 : 16);
      if (headerBits + length * 8 <= dataCodewordsOf(version) * 8) return version;
    }
    throw new RangeError(`a text of ${length} bytes is too long for a code`);
  }

  function dataCodewords(bytes, version) {
    const bits = [];
    const push = (value, count) => {
      for (let bit = count - 1; bit >= 0; bit -= 1) bits.push((value >>> bit) & 1);
    };
    const capacity = dataCodewordsOf(version) * 8;
    push(0b0100, 4);
    push(bytes.length, version < 10 ? 8 : 16);
    for (const byte of bytes) push(byte, 8);
    push(0, Math.min(4, capacity - bits.length));
    push(0, (8 - (bits.length % 8)) % 8);
    for (let pad = 0xec; bits.length < capacity; pad ^= 0xec ^ 0x11) push(pad, 8);
    return Uint8Array.from({ length: capacity / 8 }, (_, index) => (
      bits.slice(index * 8, index * 8 + 8).reduce((value, bit) => (value << 1) | bit, 0)
    ));
  }

  function correctionOf(data, count) {
    let generator = [1];
    for (let power = 0; power < count; power += 1) {
      const next = new Array(generator.length + 1).fill(0);
      generator.forEach((factor, index) => {
        next[index] ^= factor;
        next[index + 1] ^= multiply(factor, EXP[power]);
      });
      generator = next;
    }
    const remainder = new Uint8Array(count);
    for (const byte of data) {
      const factor = byte ^ remainder[0];
      remainder.copyWithin(0, 1);
      remainder[count - 1] = 0;
      for (let index = 0; index < count; index += 1) remainder[index] ^= multiply(generator[index + 1], factor);
    }
    return remainder;
  }

  // Splits into blocks, corrects each and interleaves them.
  function finalCodewords(data, version) {
    const blockCount = BLOCKS[version - 1];
    const eccLength = ECC_PER_BLOCK[version - 1];
    const shortLength = Math.floor(data.length / blockCount);
    const shortBlocks = blockCount - (data.length % blockCount);
    const blocks = [];
    for (let index = 0, at = 0; index < blockCount; index += 1) {
      const length = shortLength + (index < shortBlocks ? 0 : 1);
      const part = data.slice(at, at + length);
      blocks.push({ part, ecc: correctionOf(part, eccLength) });
      at += length;
    }
    const result = [];
    for (let index = 0; index <= shortLength; index += 1) {
      for (const { part } of blocks) if (index < part.length) result.push(part[index]);
    }
    for (let index = 0; index < eccLength; index += 1) for (const { ecc } of blocks) result.push(ecc[index]);
    return result;
  }

  function alignmentCentres(version) {
    if (version === 1) return [];
    const count = Math.floor(version / 7) + 2;
    const last = 4 * version + 10;
    const step = Math.ceil((last - 6) / (count - 1) / 2) * 2;
    const centres = [6];
    for (let index = count - 2; index >= 0; index -= 1) centres.push(last - index * step);
    return centres;
  }

  class Matrix {
    constructor(version) {
      this.version = version;
      this.size = 17 + 4 * version;
      this.dark = Array.from({ length: this.size }, () => new Array(this.size).fill(false));
      this.fixed = Array.from({ length: this.size }, () => new Array(this.size).fill(false));
      this.drawFixed();
    }

    set(x, y, dark) {
      if (x < 0 || y < 0 || x >= this.size || y >= this.size) return;
      this.dark[y][x] = Boolean(dark);
      this.fixed[y][x] = true;
    }

    drawFixed() {
      for (let index = 0; index < this.size; index += 1) {
        this.set(6, index, index % 2 === 0);
        this.set(index, 6, index % 2 === 0);
      }
      const far = this.size - 4;
      for (const [x, y] of [[3, 3], [far, 3], [3, far]]) this.drawRings(x, y, 4);
      const centres = alignmentCentres(this.version);
      const last = centres.length - 1;
      centres.forEach((x, column) => centres.forEach((y, row) => {
        const atFinder = (column === 0 && (row === 0 || row === last)) || (column === last && row === 0);
        if (!atFinder) this.drawRings(x, y, 2);
      }));
      this.drawFormat(0);
      this.drawVersion();
    }

    // A finder pattern (radius 4, with its light border) or an alignment pattern (radius 2).
    drawRings(centreX, centreY, radius) {
      for (let y = -radius; y <= radius; y += 1) {
        for (let x = -radius; x <= radius; x += 1) {
          const distance = Math.max(Math.abs(x), Math.abs(y));
          const light = radius === 4 ? distance === 2 || distance === 4 : distance === 1;
          this.set(centreX + x, centreY + y, !light);
        }
      }
    }

    drawFormat(mask) {
      const data = (FORMAT_BITS_OF_L << 3) | mask;
      let remainder = data;
      for (let step = 0; step < 10; step += 1) remainder = (remainder << 1) ^ ((remainder >>> 9) * 0x537);
      const bits = ((data << 10) | remainder) ^ 0x5412;
      const bit = (index) => (bits >>> index) & 1;
      for (let index = 0; index <= 5; index += 1) this.set(8, index, bit(index));
      this.set(8, 7, bit(6));
      this.set(8, 8, bit(7));
      this.set(7, 8, bit(8));
      for (let index = 9; index < 15; index += 1) this.set(14 - index, 8, bit(index));
      for (let index = 0; index < 8; index += 1) this.set(this.size - 1 - index, 8, bit(index));
      for (let index = 8; index < 15; index += 1) this.set(8, this.size - 15 + index, bit(index));
      this.set(8, this.size - 8, true);
    }

    drawVersion() {
      if (this.version < 7) return;
      let remainder = this.version;
      for (let step = 0; step < 12; step += 1) remainder = (remainder << 1) ^ ((remainder >>> 11) * 0x1f25);
      const bits = (this.version << 12) | remainder;
      for (let index = 0; index < 18; index += 1) {
        const far = this.size - 11 + (index % 3);
        const near = Math.floor(index / 3);
        this.set(far, near, (bits >>> index) & 1);
        this.set(near, far, (bits >>> index) & 1);
      }
    }

    // Fills the free modules in the zigzag of the standard.
    drawCodewords(codewords) {
      let at = 0;
      for (let right = this.size - 1; right >= 1; right -= 2) {
        if (right === 6) right = 5;
        for (let step = 0; step < this.size; step += 1) {
          const upward = ((right + 1) & 2) === 0;
          const y = upward ? this.size - 1 - step : step;
          for (const x of [right, right - 1]) {
            if (this.fixed[y][x] || at >= codewords.length * 8) continue;
            this.dark[y][x] = ((codewords[at >>> 3] >>> (7 - (at & 7))) & 1) === 1;
            at += 1;
          }
        }
      }
    }

    // The first mask of the standard. Every reader takes any mask; the others only please weak ones.
    applyMask() {
      for (let y = 0; y < this.size; y += 1) {
        for (let x = 0; x < this.size; x += 1) {
          if (!this.fixed[y][x] && (x + y) % 2 === 0) this.dark[y][x] = !this.dark[y][x];
        }
      }
      this.drawFormat(0);
    }
  }

  function encode(text) {
    const bytes = new TextEncoder().encode(text);
    const version = versionFor(bytes.length);
    const matrix = new Matrix(version);
    matrix.drawCodewords(finalCodewords(dataCodewords(bytes, version), version));
    matrix.applyMask();
    return matrix;
  }

  define('WAWebQrCode', (exports) => {
    exports.drawQr = (canvas, text) => {
      const { size, dark } = encode(text);
      canvas.width = (size + 2 * QUIET_ZONE) * PIXELS_PER_MODULE;
      canvas.height = canvas.width;
      const context = canvas.getContext('2d');
      context.fillStyle = '#fff';
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = '#000';
      dark.forEach((row, y) => row.forEach((isDark, x) => {
        if (!isDark) return;
        context.fillRect((x + QUIET_ZONE) * PIXELS_PER_MODULE, (y + QUIET_ZONE) * PIXELS_PER_MODULE, PIXELS_PER_MODULE, PIXELS_PER_MODULE);
      }));
    };
  });
})();
