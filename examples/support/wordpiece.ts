import { Tokenizer } from "@huggingface/tokenizers";

/** What a Tokenizer is made of: the contents of a `tokenizer.json`. */
export type TokenizerJson = ReturnType<typeof wordPiece>;

export const specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/** Settings of an uncased BERT tokenizer with these tokens, in the order of their ids. */
function wordPiece(tokens: readonly string[]) {
  return {
    version: "1.0",
    added_tokens: specialTokens.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: {
      type: "BertNormalizer" as const,
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: true,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" as const },
    post_processor: {
      type: "BertProcessing" as const,
      cls: ["[CLS]", tokens.indexOf("[CLS]")] as [string, number],
      sep: ["[SEP]", tokens.indexOf("[SEP]")] as [string, number],
    },
    decoder: { type: "WordPiece" as const, prefix: "##", cleanup: true },
    model: {
      type: "WordPiece" as const,
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}

/** The tokenizer of a `tokenizer.json`. */
export const tokenizerOf = (json: TokenizerJson): Tokenizer => new Tokenizer(json, { do_lower_case: true });

/**
 * A vocabulary of `size` WordPiece tokens for these texts: the special tokens, the characters, then again and again the pair of
 * neighbouring pieces that is most frequent in the texts' words, joined. Words seen less than three times have no say.
 */
export function trainWordPiece(texts: Iterable<string>, size: number): TokenizerJson {
  const counts = new Map<string, number>();
  for (const text of texts) {
    const plain = text
      .normalize("NFD")
      .replace(/\p{Mn}/gu, "")
      .toLowerCase();
    for (const [word] of plain.matchAll(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const words = [...counts]
    .filter(([, count]) => count >= 3)
    .map(([word, count]) => ({ count, pieces: Array.from(word, (letter, i) => (i === 0 ? letter : `##${letter}`)) }));
  const tokens = new Set<string>([...specialTokens, ...words.flatMap(({ pieces }) => pieces).sort()]);

  const pairs = new Map<string, { count: number; readonly words: Set<number> }>();
  const tally = (index: number, sign: 1 | -1): void => {
    const { count, pieces } = words[index]!;
    for (let i = 1; i < pieces.length; i++) {
      const key = `${pieces[i - 1]} ${pieces[i]}`;
      const pair = pairs.get(key) ?? { count: 0, words: new Set<number>() };
      pair.count += sign * count;
      if (sign === 1) pair.words.add(index);
      if (pair.count === 0) pairs.delete(key);
      else pairs.set(key, pair);
    }
  };
  for (const index of words.keys()) tally(index, 1);
  while (tokens.size < size && pairs.size > 0) {
    let best = "";
    let most = 0;
    for (const [key, { count }] of pairs) if (count > most) [best, most] = [key, count];
    const [left, right] = best.split(" ") as [string, string];
    const joined = left + right.slice(2);
    for (const index of pairs.get(best)!.words) {
      const { pieces } = words[index]!;
      if (!pieces.some((piece, i) => piece === left && pieces[i + 1] === right)) continue;
      tally(index, -1);
      for (let i = 0; i + 1 < pieces.length; i++)
        if (pieces[i] === left && pieces[i + 1] === right) pieces.splice(i, 2, joined);
      tally(index, 1);
    }
    tokens.add(joined);
  }
  return wordPiece([...tokens]);
}
