/** The schema in which the queue's library keeps its tables. */
export const QUEUE_SCHEMA = 'varve_queue';
/** The one queue that varve uses: its jobs are leases on keys. */
export const QUEUE = 'keys';
