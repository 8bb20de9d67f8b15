type Plain = Record<string, unknown> | unknown[];

/** Options, lists of options included, that note who reads them once they are sealed. Dependencies are not options. */
export class Watched {
  readonly reads: string[] = [];
  private sealed = false;

  watch<T extends Plain>(options: T, path = 'options'): T {
    const parts = Object.entries(options).map(([key, value]) => [
      key,
      isPlain(value) ? this.watch(value, `${path}.${key}`) : value,
    ]);
    const copy = Array.isArray(options) ? parts.map(([, value]) => value) : Object.fromEntries(parts);
    return new Proxy(copy, {
      get: (target, key, receiver) => {
        if (this.sealed) this.reads.push(`${path}.${String(key)}`);
        return Reflect.get(target, key, receiver);
      },
    });
  }

  seal(): void {
    this.sealed = true;
  }
}

function isPlain(value: unknown): value is Plain {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}
