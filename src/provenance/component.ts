/**
 * The strongly connected components of a directed graph in topological order: what has no predecessor first.
 *
 * Order: among components that could come next, the one with the smallest name, so that equal graphs give equal lists.
 * Why Tarjan with a stack of its own: a chain of thousands of tables must not exhaust the call stack.
 * Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972; A. Kahn, Topological sorting, 1962.
 */
export function componentsOf(
  nodes: readonly string[],
  arcs: readonly (readonly [source: string, target: string])[],
): readonly (readonly string[])[] {
  const targetsByNode = new Map<string, string[]>(nodes.map((node) => [node, []]));
  for (const [source, target] of arcs) targetsByNode.get(source)?.push(target);
  return kahn(stronglyConnected(targetsByNode), targetsByNode);
}

function stronglyConnected(
  targetsByNode: ReadonlyMap<string, readonly string[]>,
): readonly (readonly string[])[] {
  const components: string[][] = [];
  const indexByNode = new Map<string, number>();
  const lowByNode = new Map<string, number>();
  const open: string[] = [];
  const isOpen = new Set<string>();

  const enter = (node: string): Frame => {
    indexByNode.set(node, indexByNode.size);
    lowByNode.set(node, indexByNode.size - 1);
    open.push(node);
    isOpen.add(node);
    return { node, targets: targetsByNode.get(node) ?? [], next: 0 };
  };
  const lower = (node: string, low: number | undefined): void => {
    lowByNode.set(node, Math.min(lowByNode.get(node) ?? 0, low ?? 0));
  };
  const leave = (node: string): void => {
    if (lowByNode.get(node) !== indexByNode.get(node)) return;
    const component = open.splice(open.lastIndexOf(node));
    component.forEach((member) => isOpen.delete(member));
    components.push(component.toSorted());
  };

  for (const root of targetsByNode.keys()) {
    if (indexByNode.has(root)) continue;
    const frames: Frame[] = [enter(root)];
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const target = frame.targets[frame.next];
      frame.next += 1;
      if (target === undefined) {
        frames.pop();
        leave(frame.node);
        const above = frames.at(-1);
        if (above !== undefined) lower(above.node, lowByNode.get(frame.node));
      } else if (!indexByNode.has(target)) frames.push(enter(target));
      else if (isOpen.has(target)) lower(frame.node, indexByNode.get(target));
    }
  }
  return components;
}

interface Frame {
  readonly node: string;
  readonly targets: readonly string[];
  next: number;
}

function kahn(
  components: readonly (readonly string[])[],
  targetsByNode: ReadonlyMap<string, readonly string[]>,
): readonly (readonly string[])[] {
  const componentByNode = new Map(components.flatMap((component, at) => component.map((node) => [node, at])));
  const targetsByComponent = components.map((component, at) => {
    const targets = component.flatMap((node) => targetsByNode.get(node) ?? []);
    return new Set(targets.map((node) => componentByNode.get(node) ?? at).filter((other) => other !== at));
  });
  const pending = components.map(() => 0);
  for (const targets of targetsByComponent) for (const at of targets) pending[at] = (pending[at] ?? 0) + 1;

  const ready = new SmallestFirst((at: number) => components[at]?.[0] ?? '');
  pending.forEach((count, at) => {
    if (count === 0) ready.push(at);
  });
  const ordered: (readonly string[])[] = [];
  for (let at = ready.pop(); at !== undefined; at = ready.pop()) {
    ordered.push(components[at] ?? []);
    for (const target of targetsByComponent[at] ?? []) {
      pending[target] = (pending[target] ?? 0) - 1;
      if (pending[target] === 0) ready.push(target);
    }
  }
  return ordered;
}

/** A list kept in order of name by binary insertion: ready tables are few, and ten thousand would still be fast. */
class SmallestFirst {
  readonly #name: (item: number) => string;
  readonly #items: number[] = [];

  constructor(name: (item: number) => string) {
    this.#name = name;
  }

  push(item: number): void {
    const name = this.#name(item);
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      // Descending, so that the smallest is popped from the end.
      if (this.#name(this.#items[middle] ?? 0) > name) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, item);
  }

  pop(): number | undefined {
    return this.#items.pop();
  }
}
