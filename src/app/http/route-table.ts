/** Which methods a path knows, for `Allow`: fastify answers 404 where another method would be right. */
import type { FastifyInstance } from 'fastify';

interface Entry {
  readonly segments: readonly string[];
  readonly methods: Set<string>;
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  for (const [index, part] of pattern.entries()) {
    if (part === '*') return path.length > index;
    const segment = path[index];
    if (segment === undefined || (!part.startsWith(':') && part !== segment)) return false;
  }
  return pattern.length === path.length;
}

export class RouteTable {
  readonly #entries = new Map<string, Entry>();

  /** Listens to routes as they are added; must be called before the first. */
  follow(server: FastifyInstance): void {
    server.addHook('onRoute', (route) => {
      const entry = this.#entries.get(route.url) ?? { segments: route.url.split('/'), methods: new Set() };
      this.#entries.set(route.url, entry);
      for (const method of [route.method].flat()) entry.methods.add(method.toUpperCase());
    });
  }

  /**
   * Methods of all routes that the path could mean, sorted, `OPTIONS` among them; empty when there is no such path.
   * @param target a request target: `/path?query`, or `*`
   */
  allowed(target: string): readonly string[] {
    const path = (target.split('?', 1)[0] ?? '').replace(/^https?:\/\/[^/]*/i, '').split('/');
    const methods = new Set<string>();
    for (const entry of this.#entries.values()) {
      if (target === '*' || matches(entry.segments, path))
        for (const method of entry.methods) methods.add(method);
    }
    return methods.size === 0 ? [] : [...methods.add('OPTIONS')].sort();
  }
}
