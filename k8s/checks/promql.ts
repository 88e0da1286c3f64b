/** A metric that an expression asks for, and the labels by which it picks, groups or joins. */
export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

const word = /[a-zA-Z_:][a-zA-Z0-9_:]*/g;
const keywords = new Set(['and', 'or', 'unless', 'bool', 'offset', 'on', 'ignoring', 'by', 'without']);

/** What a PromQL expression reads. Not a parser: enough to tell metrics from functions, labels, strings and durations. */
export function selectorsOf(expression: string): Selector[] {
  const grouped: string[] = [];
  let text = expression
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g, (_, labels: string) => {
      grouped.push(...(labels.match(word) ?? []));
      return ' ';
    })
    .replace(/\[[^\]]*\]/g, ' ');
  const found: { metric: string; labels: string[] }[] = [];
  text = text.replace(
    /([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{((?:[^}"]|"(?:[^"\\]|\\.)*")*)\}/g,
    (_, metric: string, inside: string) => {
      const labels = [...inside.replace(/"(?:[^"\\]|\\.)*"/g, '""').matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)];
      found.push({ metric, labels: labels.map(([, label]) => label as string) });
      return ' ';
    },
  );
  text = text.replace(/"(?:[^"\\]|\\.)*"/g, ' ').replace(/\b\d[\w.]*/g, ' ');
  for (const match of text.matchAll(word)) {
    const [name] = match;
    const isFunction = /^\s*\(/.test(text.slice(match.index + name.length));
    if (!isFunction && !keywords.has(name)) found.push({ metric: name, labels: [] });
  }
  // A grouping belongs to what is inside of it; here it is asked of every metric of the expression that could have it.
  return found.map(({ metric, labels }) => ({ metric, labels: [...new Set([...labels, ...grouped])] }));
}
