/**
 * The keys of one table that are due, a batch at a time, without ever holding or counting all of them.
 *
 * ```text
 * stale     page by page of recorded keys in key order: those whose inputs or code moved
 * first     missing keys that a person put first
 * missing   in key order, from the last one taken on; keys that a parent gets meanwhile come after it, mostly
 * ```
 *
 * One round through these is a pass. What a pass cannot see (keys that came before its place, a retry whose time came,
 * keys of a worker that died) is for the next one.
 */
import { sql, type Queryable, type Sql, type Store } from '../../store/index.ts';
import type { CodeIdentity } from '../code-digest.ts';
import { urgentKeys } from '../job.ts';
import { endOfPage, missingKeys, staleKeys, type Key } from '../key-source.ts';
import type { Relation, Relations } from '../relation.ts';
import type { Reservation, Reservations, Taken, Taking } from '../share/reservation.ts';
import { keysRecordset } from '../write-rows.ts';

/** Keys taken, and what is to be done with them. */
export interface DueBatch {
  readonly mode: 'insert' | 'replace';
  readonly reservation: Reservation;
}

/** What due keys are found in. */
export interface DueKeysOptions {
  readonly store: Store;
  readonly relation: Relation;
  readonly relations: Relations;
  readonly code: CodeIdentity;
  readonly condition: Sql | undefined;
  readonly reservations: Reservations;
  /** Seconds for which one make may keep this worker from saying that it lives. */
  readonly silentSeconds: number;
}

type Stage = 'stale' | 'find urgent' | 'urgent' | 'missing';

/** Recorded keys to compare with the present at once. */
const PAGE_KEYS = 50_000;

/** One pass after the other over the due keys of a table; its calls must not overlap. */
export class DueKeys {
  /** Stale keys found, whether or not they were ours to compute. */
  staleFound = 0;
  readonly #options: DueKeysOptions;
  #stage: Stage;
  #after: Key | undefined;
  /** Found, not yet taken: stale keys of a page, or urgent ones. */
  #found: readonly Key[] = [];
  #isLastPage = false;
  /** Jobs, ours or others', whose keys were passed over. */
  readonly #met = new Set<string>();

  constructor(options: DueKeysOptions, hasRecorded: boolean) {
    this.#options = options;
    this.#stage = hasRecorded ? 'stale' : 'find urgent';
  }

  /** Whether this pass still looks for stale keys: what lies below must wait, or it would read what is to be replaced. */
  get isStale(): boolean {
    return this.#stage === 'stale';
  }

  /** The jobs whose keys were passed over since this was last asked. */
  takeMet(): readonly string[] {
    const met = [...this.#met];
    this.#met.clear();
    return met;
  }

  #taking(mode: Taking['mode']): Taking {
    const { relation, silentSeconds } = this.#options;
    return { relation, mode, silentSeconds };
  }

  #passOver(taken: Taken | undefined): Sql | undefined {
    for (const job of taken?.jobs ?? []) this.#met.add(job);
    return taken?.keys;
  }

  /** Begins again. */
  restart(hasRecorded: boolean): void {
    this.#stage = hasRecorded ? 'stale' : 'find urgent';
    this.#after = undefined;
    this.#found = [];
    this.#isLastPage = false;
  }

  /** Takes up to `limit` keys; undefined when the pass has no more of them now. */
  async take(limit: number): Promise<DueBatch | undefined> {
    for (;;) {
      const batch = await this.#takeOnce(limit);
      if (batch !== 'again') return batch;
    }
  }

  async #takeOnce(limit: number): Promise<DueBatch | undefined | 'again'> {
    if (this.#stage === 'stale') return this.#takeStale(limit);
    if (this.#stage === 'find urgent') return this.#findUrgent();
    if (this.#stage === 'urgent') return this.#takeUrgent(limit);
    return this.#takeMissing(limit);
  }

  async #takeStale(limit: number): Promise<DueBatch | 'again'> {
    if (this.#found.length === 0) {
      if (this.#isLastPage) return this.#next('find urgent');
      await this.#findStalePage();
      return 'again';
    }
    const slice = this.#slice(limit);
    const { relation, relations, code, reservations } = this.#options;
    const reservation = await reservations.take(this.#taking('replace'), async (queryable, taken) => {
      if (!reservations.isShared) return slice;
      // Another worker may have been here since the page was read.
      const condition = this.#among(slice);
      const stale = await staleKeys(queryable, relation, relations, code, {
        condition,
        except: this.#passOver(taken),
      });
      return stale.map(({ key }) => key);
    });
    return reservation === undefined ? 'again' : { mode: 'replace', reservation };
  }

  async #findStalePage(): Promise<void> {
    const { store, relation, relations, code, condition } = this.#options;
    const after = this.#after;
    const upTo = await endOfPage(store, relation, { after, size: PAGE_KEYS });
    const stale = await staleKeys(store, relation, relations, code, { condition, after, upTo });
    this.#found = stale.map(({ key }) => key);
    this.staleFound += stale.length;
    this.#after = upTo;
    this.#isLastPage = upTo === undefined;
  }

  /** Once a pass: they stay urgent until they are computed. */
  async #findUrgent(): Promise<'again'> {
    const { store, relation } = this.#options;
    const found = await urgentKeys(store, relation);
    this.#next('urgent');
    this.#found = found;
    return 'again';
  }

  async #takeUrgent(limit: number): Promise<DueBatch | 'again'> {
    if (this.#found.length === 0) return this.#next('missing');
    const { relation, relations, condition, reservations } = this.#options;
    const among = this.#among(this.#slice(limit));
    const reservation = await reservations.take(this.#taking('insert'), (queryable, taken) =>
      missingKeys(queryable, relation, relations, {
        condition: condition === undefined ? among : sql`(${condition}) and ${among}`,
        except: this.#passOver(taken),
        limit,
      }),
    );
    return reservation === undefined ? 'again' : { mode: 'insert', reservation };
  }

  async #takeMissing(limit: number): Promise<DueBatch | undefined> {
    const { relation, relations, condition, reservations } = this.#options;
    const reservation = await reservations.take(this.#taking('insert'), (queryable: Queryable, taken) =>
      missingKeys(queryable, relation, relations, {
        condition,
        after: this.#after,
        except: this.#passOver(taken),
        limit,
      }),
    );
    const last = reservation?.keys.at(-1);
    if (reservation === undefined || last === undefined) return undefined;
    this.#after = last;
    return { mode: 'insert', reservation };
  }

  #next(stage: Stage): 'again' {
    this.#stage = stage;
    this.#after = undefined;
    return 'again';
  }

  #slice(limit: number): readonly Key[] {
    const slice = this.#found.slice(0, limit);
    this.#found = this.#found.slice(slice.length);
    return slice;
  }

  #among(keys: readonly Key[]): Sql {
    const { spec } = this.#options.relation;
    const columns = sql.join(spec.sourceKey.map((column) => sql.id(column)));
    return sql`(${columns}) in (select ${columns} from (${keysRecordset(spec, keys)}) k)`;
  }
}
