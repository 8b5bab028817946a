/** The record of one execution, of anything: who ran what, where, on which code, when, and how it ended. */
import { runId, type Clock, type Json, type JsonObject, type RandomBytes } from '../base/index.ts';
import { sql, type Queryable } from '../store/index.ts';

/** Who runs and where: facts of the process, handed in by the composition root. */
export interface RunEnvironment {
  readonly actor: string;
  readonly host: string;
  readonly processId: number;
  /** Of the project folder; null where it is under no version control. */
  readonly gitCommit: string | null;
  /** Of package-lock.json; null where there is none. */
  readonly lockDigest: string | null;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/** What is to be run. */
export interface RunStart {
  readonly kind: string;
  readonly subject: string;
  readonly definitionDigest: string | null;
  readonly settings: JsonObject;
}

/** An open run. */
export interface Run {
  readonly id: number;
  /** `varve://run/...` */
  readonly name: string;
  /** ISO 8601 UTC: the time that makes see as `now`. */
  readonly startedAt: string;
}

/** How a run ended. */
export type RunStatus = 'done' | 'failed' | 'interrupted';

/** Opens a run; its row is there before anything it does. */
export async function openRun(store: Queryable, environment: RunEnvironment, start: RunStart): Promise<Run> {
  const startedAtMs = environment.clock.nowMs();
  const name = runId({
    startedAtMs,
    kind: start.kind,
    subject: start.subject,
    randomBytes: environment.randomBytes,
  });
  const startedAt = new Date(startedAtMs).toISOString();
  const [row] = await store.query<{ id: number }>(sql`
    insert into varve.run
      (name, kind, actor, host, process, git_commit, lock_digest, definition_digest, settings, started_at, status)
    values (${name}, ${start.kind}, ${environment.actor}, ${environment.host}, ${environment.processId},
      ${environment.gitCommit}, ${environment.lockDigest}, ${start.definitionDigest},
      ${jsonText(start.settings)}::jsonb, ${startedAt}::timestamptz, 'running')
    returning id`);
  return { id: row?.id ?? 0, name, startedAt };
}

/** Closes a run. */
export async function closeRun(store: Queryable, run: Run, clock: Clock, status: RunStatus): Promise<void> {
  await store.execute(sql`
    update varve.run set finished_at = ${new Date(clock.nowMs()).toISOString()}::timestamptz, status = ${status}
    where id = ${run.id}`);
}

function jsonText(value: Json): string {
  return JSON.stringify(value);
}
