import type { CorpusDocument } from '../../coverage.ts';
import type { DocumentTable, RowKey } from './document-table.ts';

const PAGE = 500;

/** The documents of a column as a corpus, page by page in the order of their keys; each is named by its key. */
export async function* readTable(table: Pick<DocumentTable, 'page'>): AsyncGenerator<CorpusDocument> {
  for (let after: RowKey | undefined; ;) {
    const page = await table.page(after, PAGE);
    for (const { key, text } of page) yield { id: key, bytes: Buffer.from(text, 'utf8') };
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.key;
  }
}
