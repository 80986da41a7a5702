// The words of a filter that stand in the text of lines, to show where they do.

/** words are the texts that a filter looks for, in lower case. */
export function words(filter: string): string[] {
  const list: string[] = [];
  for (const m of filter.matchAll(/(-?)(?:"((?:[^"\\]|\\.)*)"|(\/(?:[^/\\]|\\.)+\/i?(?=\s|$))|(\S+))/g)) {
    const [, minus, quoted, regexp, word] = m;
    if (minus || regexp) continue;
    if (quoted !== undefined) list.push(quoted.replace(/\\(["\\])/g, "$1").toLowerCase());
    else if (word && !/^@?[\p{L}_][\p{L}\p{N}_.\-/]*(:(?!\/\/)|=|[<>])/u.test(word)) list.push(word.toLowerCase());
  }
  return list.filter(Boolean);
}

/** parts cuts a text where words are: each second part is one. */
export function parts(text: string, list: string[]): string[] {
  if (!list.length) return [text];
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return [text]; // some letters are longer in lower case
  const out: string[] = [];
  let at = 0;
  while (at < text.length && out.length < 200) {
    let next = -1;
    let size = 0;
    for (const w of list) {
      const i = lower.indexOf(w, at);
      if (i >= 0 && (next < 0 || i < next || (i === next && w.length > size))) {
        next = i;
        size = w.length;
      }
    }
    if (next < 0) break;
    out.push(text.slice(at, next), text.slice(next, next + size));
    at = next + size;
  }
  out.push(text.slice(at));
  return out;
}

/** term is a condition of the grammar on an attribute. */
export function term(key: string, value: string): string {
  const plain = /^[^\s"/,*][^\s",*]*$/.test(value);
  const name = /^[\p{L}_][\p{L}\p{N}_.\-/]*$/u.test(key);
  if (!name) return '"' + value.replace(/(["\\])/g, "\\$1") + '"';
  return "@" + key + "=" + (plain ? value : '"' + value.replace(/(["\\])/g, "\\$1") + '"');
}
