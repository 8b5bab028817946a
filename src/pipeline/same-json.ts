/** Whether two JSON values are equal, whatever the order of their members: jsonb does not keep it. */
export function sameJson(left: unknown, right: unknown): boolean {
  return JSON.stringify(withSortedMembers(left)) === JSON.stringify(withSortedMembers(right));
}

function withSortedMembers(value: unknown): unknown {
  if (Array.isArray(value)) return (value as readonly unknown[]).map(withSortedMembers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, member]): [string, unknown] => [name, withSortedMembers(member)]),
  );
}
