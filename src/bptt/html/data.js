"use strict";
// The page's data: the tree that Python packed (bptt/html/packing.py). Where it had an array there is one of `Numbers`.

/** An array: `shape`, and `data`, a typed array in row order, which is made when it is first asked for. */
class Numbers {
  constructor(bytes, { $, dtype, shape, lo, hi, scale, differs }) {
    Object.assign(this, { shape, lo, hi, scale });
    this.raw = () => {
      const kind = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i1: Int8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array }[dtype];
      const items = new kind(bytes.buffer, $, shape.reduce((a, b) => a * b, 1));
      if (!differs) return items;
      const [whole, row] = [new Uint8Array(items), items.length / shape[0]];
      for (let i = row; i < whole.length; i++) whole[i] += whole[i - row];
      return whole;
    };
  }

  get data() {
    const items = this.raw();
    const value = this.lo === undefined ? items : this.numbers(items);
    Object.defineProperty(this, "data", { value });
    return value;
  }

  /** Undo what bptt.html.EightBits did: code 0 is no number, 1 to 255 are steps from lo to hi. */
  numbers(codes) {
    const [los, his] = [[this.lo].flat(), [this.hi].flat()];
    const turn = this.scale === "log2" ? Math.log2 : (x) => x;
    const table = los.map((lo, k) => {
      const [from, to] = [turn(lo), turn(his[k % his.length])];
      return Float32Array.from({ length: 256 }, (_, code) => {
        const x = from + ((code - 1) / 254) * (to - from);
        return code === 0 ? NaN : this.scale === "log2" ? 2 ** x : x;
      });
    });
    const [numbers, n] = [new Float32Array(codes.length), table.length];
    for (let i = 0; i < codes.length; i++) numbers[i] = table[i % n][codes[i]];
    return numbers;
  }
}

bptt.unpack = async () => {
  const text = document.getElementById("arrays").textContent;
  const packed = Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const revive = (_, value) => (value !== null && typeof value === "object" && "$" in value ? new Numbers(bytes, value) : value);
  bptt.data = JSON.parse(document.getElementById("data").textContent, revive);
};
