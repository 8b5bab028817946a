type Level = 'checked' | 'observed' | 'guarded' | 'confined' | 'witnessed';
type Levels = { readonly [environment in 'dev' | 'stage' | 'prod']?: Level };
type Kind = 'postgis' | 'search' | 'graph' | 'pipeline' | 'document' | 'replica' | 'other';

/** What a project says once for all of its migrations; each member has a default. */
export interface MigrationsConfig {
  /** Schemas and `schema.table`s that no migration touches without scope and an approval that names them. */
  readonly protected?: { readonly schemas?: readonly string[]; readonly tables?: readonly string[] };
  /** Schemas that only migrations of the pipeline may change. Default `RAW`, `WORK`, `PROCESSED`, `CATALOG`. */
  readonly canonicalZones?: readonly string[];
  /** Boxes of degrees whose positions stand in no file. */
  readonly restrictedAreas?: readonly {
    readonly name: string;
    readonly west: number;
    readonly south: number;
    readonly east: number;
    readonly north: number;
  }[];
  /**
   * What has to be true of a table after a migration that touched it: constraints that are there and validated, as
   * `schema.table.constraint`; geometry columns, as `schema.table.column`, with this reference system and a valid spatial index.
   */
  readonly required?: {
    readonly constraints?: readonly string[];
    readonly geometries?: readonly { readonly column: string; readonly srid: number }[];
  };
  /** Principals by the name of a group, which `required_reviewers` names as `group:<name>`. */
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  /** The level of enforcement below which nothing runs. Default for postgis: dev `observed`, stage `guarded`, prod `confined`. */
  readonly minimumLevel?: { readonly [kind in Kind]?: Levels };
  /** From how many on an effect wants a review. */
  readonly large?: {
    readonly indexRows?: number;
    readonly backfillRows?: number;
    readonly elements?: number;
  };
}
