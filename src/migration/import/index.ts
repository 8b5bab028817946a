export { adoptHistory, type AdoptHistoryOptions, type AdoptHistoryResult } from './adopt-history.ts';
export {
  adoptedFindings,
  adoptedMigrations,
  findAdoptions,
  readAdopted,
  type AdoptedMigration,
  type Adoption,
} from './find-adopted.ts';
export type { ImportedItem, ImportTool } from './imported-item.ts';
