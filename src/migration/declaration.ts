/** Which objects may be touched; forbidden wins (M15, M16). */
export interface Scope extends Readonly<Record<string, readonly string[]>> {
  readonly allowed_schemas: readonly string[];
  readonly allowed_tables: readonly string[];
  readonly forbidden_schemas: readonly string[];
  readonly forbidden_tables: readonly string[];
}

/** The content of `migration.yml`, with the names it has there. */
export interface Declaration {
  readonly migration_id: string;
  readonly type: string;
  readonly intent: string;
  readonly store?: string;
  readonly scope: Scope;
  readonly limits: Readonly<Record<string, number>>;
  readonly requires_rollback: boolean;
  readonly artifacts: {
    readonly forward: readonly string[];
    readonly rollback: readonly string[];
    readonly attachments?: readonly string[];
  };
  readonly after?: readonly string[];
  readonly supersedes?: readonly string[];
}
