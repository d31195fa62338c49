import { sizeOf } from "../../core/shape.js";
import type { Rows } from "./table.js";

export const indexing = {
  argmax: ([x], { axis }) => {
    const count = x!.shape[axis]!;
    return Float64Array.from({ length: x!.data.length / count }, (_, row) => {
      let best = 0;
      for (let i = 1; i < count; i++) if (x!.data[row * count + i]! > x!.data[row * count + best]!) best = i;
      return best;
    });
  },
  equalGroups: ([ids]) => {
    const groups = new Map<number, number>();
    return ids!.data.map((id) => {
      if (!groups.has(id)) groups.set(id, groups.size);
      return groups.get(id)!;
    });
  },
  gather: ([params, indices], { axis }) => {
    const inner = sizeOf(params!.shape.slice(axis + 1));
    const count = params!.shape[axis]!;
    const outer = sizeOf(params!.shape.slice(0, axis));
    const taken = indices!.data.length;
    const result = new Float64Array(outer * taken * inner);
    for (let o = 0; o < outer; o++) {
      indices!.data.forEach((index, i) => {
        const from = (o * count + index) * inner;
        result.set(params!.data.subarray(from, from + inner), (o * taken + i) * inner);
      });
    }
    return result;
  },
  replaceRows: ([table, ids, rows]) => {
    const inner = rows!.data.length / ids!.data.length;
    const result = table!.data.slice();
    ids!.data.forEach((id, i) => {
      result.set(rows!.data.subarray(i * inner, (i + 1) * inner), id * inner);
    });
    return result;
  },
  segmentSum: ([data, ids], { segments }) => {
    const inner = data!.data.length / ids!.data.length;
    const result = new Float64Array(segments * inner);
    ids!.data.forEach((id, row) => {
      for (let i = 0; i < inner; i++) result[id * inner + i]! += data!.data[row * inner + i]!;
    });
    return result;
  },
  topK: ([x], { k }) => {
    const count = x!.shape.at(-1)!;
    const result = new Float64Array((x!.data.length / count) * k);
    for (let row = 0; row * count < x!.data.length; row++) {
      const values = x!.data.subarray(row * count, (row + 1) * count);
      const order = Array.from(values, (_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);
      result.set(order.slice(0, k), row * k);
    }
    return result;
  },
} satisfies Partial<Rows>;
