/** The live views of a client: equal ones are one, kept a while after the last who used them. */
import type { AnyRow } from '../app-types.js';
import { clientError, type ClientError } from '../errors.js';
import type { Settings } from '../options.js';
import type { Connection } from '../socket/connection.js';
import { LiveView, NOT_YET, type LiveState } from './live-view.js';
import type { Overlay } from './overlay.js';
import { requestOf, type Wanted } from './request.js';

/**
 * A live view in somebody’s hands: its state, and who is told when that is another one. `subscribe` and `getSnapshot`
 * are what React’s `useSyncExternalStore` wants.
 */
export interface LiveStore<Row> extends LiveState<Row> {
  /** The same object until something changes. */
  readonly getSnapshot: () => LiveState<Row>;
  /** Calls `listener` after each change. Returns what ends that. */
  readonly subscribe: (listener: () => void) => () => void;
  /**
   * Resolves with the rows once every change arrives.
   * @throws ClientError when it is closed before, or the reason why it was
   */
  ready(): Promise<readonly Row[]>;
  /** Its rows stay as they are; listeners are told once more. */
  close(): void;
}

interface Kept {
  readonly view: LiveView;
  users: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class LiveViews {
  readonly #settings: Pick<Settings, 'lingerMs' | 'schedule'>;
  readonly #connection: Connection;
  readonly #overlay: Overlay;
  readonly #kept = new Map<string, Kept>();
  /** Changed since listeners were told. */
  readonly #changed = new Set<LiveView>();

  constructor(settings: Pick<Settings, 'lingerMs' | 'schedule'>, connection: Connection, overlay: Overlay) {
    this.#settings = settings;
    this.#connection = connection;
    this.#overlay = overlay;
  }

  open(view: string, wanted: Wanted): LiveStore<AnyRow> {
    const { request, id } = requestOf(view, wanted);
    const kept =
      this.#kept.get(id) ??
      this.#make(
        id,
        new LiveView(request, this.#overlay, this.#connection, (changed) => this.#note(changed)),
      );
    clearTimeout(kept.timer);
    kept.users++;
    return new Store(kept.view, () => this.#release(id, kept));
  }

  peek(view: string, wanted: Wanted): LiveState<AnyRow> {
    return this.#kept.get(requestOf(view, wanted).id)?.view.state ?? NOT_YET;
  }

  close(): void {
    for (const { timer, view } of this.#kept.values()) {
      clearTimeout(timer);
      view.close();
    }
    this.#kept.clear();
  }

  #make(id: string, view: LiveView): Kept {
    const kept: Kept = { view, users: 0, timer: undefined };
    this.#kept.set(id, kept);
    view.open();
    return kept;
  }

  #release(id: string, kept: Kept): void {
    kept.users--;
    if (kept.users > 0) return;
    kept.timer = setTimeout(() => {
      this.#kept.delete(id);
      kept.view.close();
    }, this.#settings.lingerMs);
  }

  #note(view: LiveView): void {
    const isFirst = this.#changed.size === 0;
    this.#changed.add(view);
    if (isFirst) this.#settings.schedule(() => this.#flush());
  }

  #flush(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const view of changed) for (const listener of [...view.listeners]) listener();
  }
}

class Store implements LiveStore<AnyRow> {
  readonly #view: LiveView;
  readonly #release: () => void;
  readonly #listeners = new Set<() => void>();
  /** Its last state, once it is closed. */
  #closed: LiveState<AnyRow> | undefined;

  constructor(view: LiveView, release: () => void) {
    this.#view = view;
    this.#release = release;
  }

  readonly getSnapshot = (): LiveState<AnyRow> => this.#closed ?? this.#view.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    // One function may be handed in twice.
    const own = (): void => listener();
    if (!this.#closed) {
      this.#listeners.add(own);
      this.#view.listeners.add(own);
    }
    return () => {
      this.#listeners.delete(own);
      this.#view.listeners.delete(own);
    };
  };

  get rows(): readonly AnyRow[] {
    return this.getSnapshot().rows;
  }

  get status(): LiveState<AnyRow>['status'] {
    return this.getSnapshot().status;
  }

  get error(): ClientError | undefined {
    return this.getSnapshot().error;
  }

  get pending(): ReadonlySet<string> {
    return this.getSnapshot().pending;
  }

  ready(): Promise<readonly AnyRow[]> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const { status, rows, error } = this.getSnapshot();
        if (status === 'live') resolve(rows);
        else if (status === 'closed') reject(error ?? clientError('closed'));
        return status === 'live' || status === 'closed';
      };
      if (look()) return;
      const end = this.subscribe(() => {
        if (look()) end();
      });
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = Object.freeze({ ...this.#view.state, status: 'closed' });
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) {
      this.#view.listeners.delete(listener);
      listener();
    }
    this.#release();
  }
}
