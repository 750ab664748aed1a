// Suggests the name that was meant by a mistyped one.

/** The one of `names` that is the fewest letters away from `typed`; `undefined` if all are more than `maxDistance` away. */
export function findNearest(
  names: readonly string[],
  typed: string,
  maxDistance = Infinity,
): string | undefined {
  // What was typed can have any length, and only small distances need to be right.
  const start = typed.slice(0, 64);
  const nearest = names.map((name) => ({ name, distance: editDistance(name, start) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return nearest !== undefined && nearest.distance <= maxDistance ? nearest.name : undefined;
}

/** How many letters have to be added, removed or replaced to turn one text into the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
