/** Documents as the migration kind takes them: types from the project; columns from its store, from SQLite, and files. */
import type { DocumentEngine } from '../migration/kind/document/index.ts';
import { openColumn } from './document-column.ts';
import { filesOf, measureFiles, openFiles } from './document-files.ts';
import { measureSqlite, openSqlite, sqliteOf } from './document-sqlite.ts';
import { documentTypeIn } from './document-type-file.ts';
import type { Opened, Opening } from './document-work.ts';

/**
 * The engine for a project. In a rehearsal nothing outside of the store is written: what would be is copied to a folder that is
 * thrown away, when it is first asked for.
 */
export function documentEngine(projectDir: string, copies?: string): DocumentEngine {
  const within = { projectDir, copies };
  return {
    open: async (forward, allowed, reach) => {
      const type = await documentTypeIn(projectDir, forward);
      if (!('model' in type)) return { status: 'refused', findings: type.findings };
      const model = type.model();
      if (model.status === 'refused') return model;
      return openSource({ within, model: model.value, forward, allowed, reach });
    },
    measure: async (source) =>
      source.kind === 'sqlite'
        ? measureSqlite(await sqliteOf(within, source), source)
        : measureFiles(filesOf(within, source), source),
    onCopy: (folder) => documentEngine(projectDir, folder),
  };
}

function openSource(opening: Opening): Promise<Opened> {
  const { source } = opening.forward;
  switch (source.kind) {
    case 'column':
      return openColumn(opening, source);
    case 'sqlite':
      return openSqlite(opening, source);
    case 'files':
      return openFiles(opening, source);
  }
}
