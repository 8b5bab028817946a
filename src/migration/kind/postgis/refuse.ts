/**
 * What no script may hold (M78), seen by the parser before anything is sent (layer L0). What is said of the bodies of
 * functions and DO blocks is a net with holes: other layers see what they do.
 *
 * Each rule is a function of one shape: it gives the reasons for which it refuses a statement.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import {
  asNode,
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  nodesBelow,
  textOf,
  type Node,
} from '../../../store/index.ts';
import { subjectOf, type Statement } from './script.ts';

/** Constructs that are refused unless a declaration's `statements` names them. */
export const DECLARABLE = ['do', 'dynamic_sql', 'call', 'temporary_tables'] as const;
type Declarable = (typeof DECLARABLE)[number];

interface Refusal {
  readonly reason: string;
  readonly hint: string;
  /** The name by which a declaration may allow it. */
  readonly declarable?: Declarable;
}

/** The nodes of a statement, itself first, those of the statements in it included. */
type Rule = (nodes: readonly Node[]) => readonly Refusal[];

const RULES: readonly Rule[] = [
  controlsTransaction,
  changesSettings,
  changesRoles,
  changesServer,
  reachesOutside,
  disarms,
  usesRefusedFunctions,
  definesUntrusted,
  writesSystemCatalog,
  isDeclarable,
];

/** Why these statements are refused; `allowed` is the declaration's list `statements`. */
export function refusedConstructs(
  statements: readonly Statement[],
  allowed: readonly string[],
): readonly Finding[] {
  return statements.flatMap((statement) => {
    const nodes = [...nodesBelow({ [statement.kind]: statement.node.fields })];
    const refusals = RULES.flatMap((rule) => rule(nodes)).filter(
      ({ declarable }) => declarable === undefined || !allowed.includes(declarable),
    );
    const reasons = new Map(refusals.map((each) => [each.reason, each]));
    return [...reasons.values()].map(({ reason, hint }) =>
      refusal('construct_refused', subjectOf(statement.file, statement.place), {
        detail: { reason, statement: statement.ordinal },
        hint,
      }),
    );
  });
}

/** The names in `statements` that mean nothing. */
export function unknownConstructs(names: readonly string[]): readonly Finding[] {
  return names
    .filter((name) => !DECLARABLE.some((known) => known === name))
    .map((name) =>
      refusal('declaration_invalid', 'migration.yml', {
        detail: { reason: 'unknown_construct', name },
        hint: `Name constructs of: ${DECLARABLE.join(', ')}.`,
      }),
    );
}

function when(isRefused: boolean, reason: string, hint: string): readonly Refusal[] {
  return isRefused ? [{ reason, hint }] : [];
}

function has(nodes: readonly Node[], ...types: readonly string[]): boolean {
  return nodes.some(({ type }) => types.includes(type));
}

function controlsTransaction(nodes: readonly Node[]): readonly Refusal[] {
  return when(
    has(nodes, 'TransactionStmt'),
    'transaction_control',
    'Take it out: varve begins and ends the one transaction of a migration.',
  );
}

/** Settings that change nothing but speed and talk. Every other one may change what the layers see. */
const FREE_SETTINGS: readonly RegExp[] = [
  /^(?:work_mem|maintenance_work_mem|hash_mem_multiplier|temp_buffers|effective_cache_size)$/u,
  /^(?:enable_\w+|max_parallel_\w+|parallel_\w+|random_page_cost|seq_page_cost|cpu_\w+_cost)$/u,
  /^(?:client_min_messages|log_min_messages|commit_delay|check_function_bodies|constraint_exclusion|jit)$/u,
];

const SETTING_HINT =
  'Take it out: varve pins the settings that decide what a statement means, and verifies them before the commit.';

function changesSettings(nodes: readonly Node[]): readonly Refusal[] {
  const isGuarded = nodes.some(({ type, fields }) => {
    if (type === 'DiscardStmt') return true;
    if (type !== 'VariableSetStmt') return false;
    const name = textOf(fields['name']).toLowerCase();
    return fields['kind'] === 'VAR_RESET_ALL' || !FREE_SETTINGS.some((free) => free.test(name));
  });
  return when(isGuarded, 'guarded_setting', SETTING_HINT);
}

const ROLE_STATEMENTS = [
  'CreateRoleStmt',
  'AlterRoleStmt',
  'AlterRoleSetStmt',
  'DropRoleStmt',
  'GrantRoleStmt',
  'ReassignOwnedStmt',
  'DropOwnedStmt',
];

function changesRoles(nodes: readonly Node[]): readonly Refusal[] {
  const hint = 'Take it out: no migration changes roles or whom it runs as (M21).';
  return when(has(nodes, ...ROLE_STATEMENTS), 'role', hint);
}

const SERVER_STATEMENTS = [
  'AlterSystemStmt',
  'AlterDatabaseRefreshCollStmt',
  'AlterDatabaseSetStmt',
  'AlterDatabaseStmt',
  'CheckPointStmt',
  'CreatedbStmt',
  'DropdbStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
  'AlterTableSpaceOptionsStmt',
  'AlterTableMoveAllStmt',
  'CreatePublicationStmt',
  'AlterPublicationStmt',
  'CreateSubscriptionStmt',
  'AlterSubscriptionStmt',
  'DropSubscriptionStmt',
  'LoadStmt',
  'SecLabelStmt',
  'VacuumStmt',
];
const SHARED_OBJECTS = [
  'OBJECT_DATABASE',
  'OBJECT_ROLE',
  'OBJECT_TABLESPACE',
  'OBJECT_PUBLICATION',
  'OBJECT_SUBSCRIPTION',
  'OBJECT_PARAMETER_ACL',
];

/** What belongs to the whole server, or to replication (M21). */
function changesServer(nodes: readonly Node[]): readonly Refusal[] {
  const isShared = nodes.some(({ fields }) =>
    ['objtype', 'objectType', 'removeType', 'renameType'].some((member) =>
      SHARED_OBJECTS.includes(textOf(fields[member])),
    ),
  );
  const isVacuum = has(nodes, 'VacuumStmt') && nodes.some(({ type, fields }) => isPlainAnalyze(type, fields));
  const isServer = nodes.some(({ type }) => SERVER_STATEMENTS.includes(type)) && !isVacuum;
  const hint =
    'Take it out: what belongs to the whole server, to replication or to upkeep is no part of a migration.';
  return when(isShared || isServer, 'server_object', hint);
}

function isPlainAnalyze(type: string, fields: Node['fields']): boolean {
  return type === 'VacuumStmt' && fields['is_vacuumcmd'] !== true;
}

const FOREIGN_STATEMENTS = [
  'CreateFdwStmt',
  'AlterFdwStmt',
  'CreateForeignServerStmt',
  'AlterForeignServerStmt',
  'CreateUserMappingStmt',
  'AlterUserMappingStmt',
  'DropUserMappingStmt',
  'CreateForeignTableStmt',
  'ImportForeignSchemaStmt',
];
const FOREIGN_EXTENSIONS = ['dblink', 'postgres_fdw', 'file_fdw', 'adminpack'];

/** Files of the server, programs, other databases; rows of COPY would have to come from somewhere as well. */
function reachesOutside(nodes: readonly Node[]): readonly Refusal[] {
  const isForeign =
    has(nodes, ...FOREIGN_STATEMENTS) ||
    nodes.some(
      ({ type, fields }) =>
        type === 'CreateExtensionStmt' && FOREIGN_EXTENSIONS.includes(textOf(fields['extname'])),
    );
  return [
    ...when(
      has(nodes, 'CopyStmt'),
      'copy',
      'Write INSERT, or load rows with varve insert: COPY reads what is no part of the bundle.',
    ),
    ...when(
      isForeign,
      'foreign_connection',
      'Take it out: what another server does cannot be seen or taken back.',
    ),
  ];
}

const DISABLING = [
  'AT_DisableTrig',
  'AT_DisableTrigAll',
  'AT_DisableTrigUser',
  'AT_EnableReplicaTrig',
  'AT_DisableRule',
  'AT_EnableReplicaRule',
];

function disarms(nodes: readonly Node[]): readonly Refusal[] {
  const isDisabling = nodes.some(
    ({ type, fields }) => type === 'AlterTableCmd' && DISABLING.includes(textOf(fields['subtype'])),
  );
  const isEvent =
    has(nodes, 'CreateEventTrigStmt', 'AlterEventTrigStmt') ||
    nodes.some(({ fields }) =>
      ['removeType', 'renameType', 'objectType'].some((member) => fields[member] === 'OBJECT_EVENT_TRIGGER'),
    );
  return [
    ...when(
      isDisabling,
      'trigger_disabled',
      'Take it out: triggers and rules stay in force during a migration.',
    ),
    ...when(isEvent, 'event_trigger', 'Take it out: no migration changes event triggers (M21).'),
  ];
}

/** Functions that reach files, other sessions, statistics, settings or other servers. */
const REFUSED_FUNCTIONS =
  /^(?:set_config|pg_stat_reset\w*|pg_stat_clear_snapshot|pg_read_file|pg_read_binary_file|pg_ls_\w+|pg_stat_file|pg_file_\w+|lo_\w+|lo|loread|lowrite|dblink\w*|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile|pg_promote|pg_switch_wal|pg_create_\w+|pg_drop_replication_slot|pg_logical_\w+|pg_replication_\w+|pg_export_snapshot|pg_import_system_collations|pg_set_relation_stats|pg_set_attribute_stats|pg_clear_\w+|pg_restore_\w+|pg_prewarm|binary_upgrade_\w+)$/u;
const FUNCTION_HINT =
  'Take the call out: it reaches past the transaction, to files, settings, statistics or other sessions.';
/** These run the text that they are given. */
const DYNAMIC_FUNCTIONS =
  /^(?:query_to_xml\w*|cursor_to_xml\w*|table_to_xml\w*|schema_to_xml\w*|database_to_xml\w*|ts_stat)$/u;

function usesRefusedFunctions(nodes: readonly Node[]): readonly Refusal[] {
  const called = nodes.flatMap(({ type, fields }) =>
    type === 'FuncCall' ? [namesOf(fields['funcname']).at(-1) ?? ''] : [],
  );
  const named = [...called, ...bodiesOf(nodes).flatMap(callsIn)];
  return [
    ...when(
      named.some((name) => REFUSED_FUNCTIONS.test(name)),
      'refused_function',
      FUNCTION_HINT,
    ),
    ...(named.some((name) => DYNAMIC_FUNCTIONS.test(name)) ? [dynamicSql()] : []),
  ];
}

function dynamicSql(): Refusal {
  return {
    reason: 'dynamic_sql',
    declarable: 'dynamic_sql',
    hint: 'Write the statement out, or name dynamic_sql under statements: what it runs is not seen before it runs.',
  };
}

/** Names that stand before a bracket. */
function callsIn(body: string): readonly string[] {
  return [...withoutComments(body).matchAll(/([a-z_][a-z0-9_$]*)\s*\(/giu)].map(([, name = '']) =>
    name.toLowerCase(),
  );
}

const TRUSTED_LANGUAGES = ['sql', 'plpgsql'];

function definesUntrusted(nodes: readonly Node[]): readonly Refusal[] {
  const languages = nodes.flatMap(({ type, fields }) =>
    type === 'CreateFunctionStmt' || type === 'DoStmt' ? [languageOf(type, fields)] : [],
  );
  const isUntrusted =
    has(nodes, 'CreatePLangStmt') || languages.some((language) => !TRUSTED_LANGUAGES.includes(language));
  const bodies = bodiesOf(nodes).map((body) => withoutComments(body).toLowerCase());
  const isEscaping = bodies.some((body) =>
    /\b(?:set\s+(?:local\s+|session\s+)?(?:role|session\s+authorization|session_replication_role|track_counts)|reset\s+role|alter\s+system|disable\s+trigger)\b/u.test(
      body,
    ),
  );
  return [
    ...when(isUntrusted, 'untrusted_language', 'Write functions in sql or plpgsql.'),
    ...when(isEscaping, 'guarded_setting', SETTING_HINT),
  ];
}

function languageOf(type: string, fields: Node['fields']): string {
  const options = listOf(fields[type === 'DoStmt' ? 'args' : 'options']);
  const named = options
    .map((option) => fieldsOf(option, 'DefElem'))
    .find((each) => each?.['defname'] === 'language');
  // A body in the grammar itself is SQL; a DO block without a language is PL/pgSQL.
  if (named === undefined) return type === 'DoStmt' ? 'plpgsql' : 'sql';
  return textOf(fieldsOf(named['arg'], 'String')?.['sval']).toLowerCase();
}

/** The texts of function bodies and DO blocks. */
function bodiesOf(nodes: readonly Node[]): readonly string[] {
  return nodes.flatMap(({ type, fields }) => {
    if (type !== 'CreateFunctionStmt' && type !== 'DoStmt') return [];
    const options = listOf(fields[type === 'DoStmt' ? 'args' : 'options']);
    return options.flatMap((option) => {
      const element = fieldsOf(option, 'DefElem');
      if (element?.['defname'] !== 'as') return [];
      const own = fieldsOf(element['arg'], 'String')?.['sval'];
      return own === undefined ? namesOf(fieldsOf(element['arg'], 'List')?.['items']) : [textOf(own)];
    });
  });
}

/** Comments and texts in quotes are no code; a body in a body is. */
function withoutComments(body: string): string {
  return body
    .replace(/--[^\n]*/gu, ' ')
    .replace(/\/\*[\s\S]*?\*\//gu, ' ')
    .replace(/'(?:[^']|'')*'/gu, "''");
}

const SYSTEM_SCHEMAS = ['pg_catalog', 'pg_toast', 'information_schema', 'varve', 'varve_history'];
const WRITES = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

/** Statements that name a schema by itself. */
const NAMING_SCHEMAS: readonly string[] = [
  'AlterObjectSchemaStmt',
  'AlterOwnerStmt',
  'CommentStmt',
  'CreateSchemaStmt',
  'DropStmt',
  'GrantStmt',
  'ReindexStmt',
  'RenameStmt',
];

function namesOwnSchema(type: string, fields: Node['fields']): boolean {
  const names = [
    fields['newschema'],
    fields['schemaname'],
    fields['name'],
    fields['subname'],
    type === 'String' ? fields['sval'] : '',
  ];
  return names.some((name) => name === 'varve' || name === 'varve_history');
}

/** The server's catalog is changed by its statements alone, varve's own by varve (M21). */
function writesSystemCatalog(nodes: readonly Node[]): readonly Refusal[] {
  const [top] = nodes;
  const isOnlyRead = top?.type === 'SelectStmt' && !has(nodes, ...WRITES);
  const schemas = nodes.flatMap(({ fields }) => [
    textOf(fields['schemaname']),
    ...(isTree(fields['relation']) ? [textOf(fields['relation']['schemaname'])] : []),
  ]);
  const targets = nodes
    .filter(({ type }) => WRITES.includes(type))
    .map(({ fields }) => (isTree(fields['relation']) ? fields['relation'] : {}));
  const isCatalogRow = targets.some(
    ({ schemaname, relname }) =>
      SYSTEM_SCHEMAS.includes(textOf(schemaname)) ||
      (schemaname === undefined && textOf(relname).startsWith('pg_')),
  );
  const ownNames = nodes.flatMap(({ type, fields }) =>
    ['List', 'ObjectWithArgs', 'TypeName'].includes(type)
      ? [namesOf(fields['items'] ?? fields['objname'] ?? fields['names'])]
      : [],
  );
  const isOwn =
    !isOnlyRead &&
    (schemas.some((schema) => schema === 'varve' || schema === 'varve_history') ||
      ownNames.some((parts) => parts.length > 1 && (parts[0] === 'varve' || parts[0] === 'varve_history')));
  const isOwnSchema =
    top !== undefined &&
    NAMING_SCHEMAS.includes(top.type) &&
    nodes.some(({ type, fields }) => namesOwnSchema(type, fields));
  return [
    ...when(isCatalogRow, 'system_catalog', 'Change the catalog by its statements, such as ALTER TABLE.'),
    ...when(isOwn || isOwnSchema, 'own_catalog', 'Take it out: no scope can allow the schema of varve.'),
  ];
}

function isDeclarable(nodes: readonly Node[]): readonly Refusal[] {
  const isTemporary = nodes.some(
    ({ fields }) =>
      ['relation', 'view', 'sequence'].some((member) => isTemporaryName(fields[member])) ||
      (isTree(fields['into']) && isTemporaryName(fields['into']['rel'])),
  );
  const runsText =
    has(nodes, 'PrepareStmt', 'ExecuteStmt') ||
    bodiesOf(nodes).some((body) =>
      /\bexecute\b(?!\s+(?:function|procedure)\b)/iu.test(withoutComments(body)),
    );
  return [
    ...declared(has(nodes, 'DoStmt'), 'do', 'Write the statements out, or name do under statements.'),
    ...declared(has(nodes, 'CallStmt'), 'call', 'Write the statements out, or name call under statements.'),
    ...declared(
      isTemporary,
      'temporary_tables',
      'Do without a temporary table, or name temporary_tables under statements.',
    ),
    ...(runsText ? [dynamicSql()] : []),
  ];
}

function isTemporaryName(value: unknown): boolean {
  const name = asNode(value)?.fields ?? value;
  return isTree(name) && (name['relpersistence'] === 't' || textOf(name['schemaname']).startsWith('pg_temp'));
}

function declared(isThere: boolean, name: Declarable, hint: string): readonly Refusal[] {
  return isThere ? [{ reason: name, hint, declarable: name }] : [];
}
