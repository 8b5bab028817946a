/** Which tool a folder is of, and what its migrations are. A pure function of the files. */
import { refusal, type Finding } from '../../base/index.ts';
import { isFlywayName, readFlyway } from './flyway.ts';
import { isGraphileFile, readGraphile } from './graphile.ts';
import { invalidFile, type FolderFile, type FolderReading, type ImportTool } from './imported-item.ts';
import { isNumberedPath, readNumberedSql } from './numbered-sql.ts';
import { isPrismaPath, readPrisma } from './prisma.ts';

const READERS: Readonly<Record<ImportTool, (files: readonly FolderFile[]) => FolderReading>> = {
  flyway: readFlyway,
  'graphile-migrate': readGraphile,
  prisma: readPrisma,
  sql: readNumberedSql,
};

/** Reads a folder by the tool that is named, or by the only one that its files are of. Errors: `import_ambiguous`, `import_invalid`. */
export function readFolder(
  files: readonly FolderFile[],
  tool?: ImportTool,
): FolderReading | { readonly findings: readonly Finding[]; readonly tool: undefined } {
  const found = tool === undefined ? toolsOf(files) : [tool];
  const [only, another] = found;
  if (only === undefined || another !== undefined) return { tool: undefined, findings: [ambiguous(found)] };
  const reading = READERS[only](files);
  if (reading.items.length > 0 || reading.findings.length > 0) return reading;
  return { ...reading, findings: [invalidFile('.', { reason: 'empty', tool: only })] };
}

/** Every tool that the folder has a file of. */
export function toolsOf(files: readonly FolderFile[]): readonly ImportTool[] {
  const graphile = files.filter((file) => isGraphileFile(file));
  const found: Readonly<Record<ImportTool, boolean>> = {
    flyway: files.some(({ path }) => isFlywayName(path)),
    'graphile-migrate': graphile.length > 0,
    prisma: files.some(({ path }) => isPrismaPath(path)),
    sql: files.some((file) => isNumberedPath(file.path) && !graphile.includes(file)),
  };
  return (Object.keys(found) as ImportTool[]).filter((name) => found[name]);
}

function ambiguous(found: readonly ImportTool[]): Finding {
  const hint =
    found.length === 0
      ? 'Name the folder that holds the migration files, and the tool with --tool.'
      : `Name the tool: ${found.map((name) => `--tool ${name}`).join(' or ')}.`;
  return refusal('import_ambiguous', '.', { detail: { tools: found }, hint });
}
