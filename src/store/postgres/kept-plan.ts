/**
 * Plans that one session keeps, so that a statement which is sent again and again is parsed and planned once.
 *
 * | rule | why |
 * |---|---|
 * | only statements marked by `sql.kept` | a kept plan fails for good once the columns of its result change |
 * | a plan is made anew after so many uses | it was made for tables as large as they were then; nothing tells it of growth before the next `analyze`, which an embedded database never runs by itself |
 * | a plan whose first use failed is forgotten | whether the session has it is unknown; its name is not used again |
 * | so many at most | the session holds each until its end, in some 100 kB |
 */

/** How a statement is to be sent: under this name, and parsed before when the session does not have it yet. */
export interface KeptPlan {
  readonly name: string;
  readonly isParsed: boolean;
}

/** What the driver does with it. */
export interface PlanDriver<T> {
  /** Undefined: as a statement without a name. */
  readonly send: (plan: KeptPlan | undefined) => Promise<T>;
  readonly drop: (name: string) => Promise<void>;
}

/** The plans of one session. */
export interface KeptPlans {
  readonly run: <T>(text: string, driver: PlanDriver<T>) => Promise<T>;
}

/** After these a plan is made anew; PostgreSQL itself plans the first five of them each for its own values. */
const USES = 256;
const MOST_PLANS = 64;
const MOST_LOST = 16;

/** Opens the plans of a session that has none yet. */
export function createKeptPlans(): KeptPlans {
  const planByText = new Map<string, KeptPlan & { readonly uses: number }>();
  let made = 0;
  let lost = 0;

  const newPlan = () => ({ name: `varve_plan_${(made += 1)}`, isParsed: false, uses: 0 });
  const hasPlace = (): boolean => planByText.size < MOST_PLANS && lost < MOST_LOST;

  return {
    run: async (text, { send, drop }) => {
      const known = planByText.get(text);
      if (known === undefined && !hasPlace()) return send(undefined);
      if (known !== undefined && known.uses >= USES) await drop(known.name);
      const plan = known === undefined || known.uses >= USES ? newPlan() : known;
      try {
        const result = await send(plan);
        planByText.set(text, { ...plan, isParsed: true, uses: plan.uses + 1 });
        return result;
      } catch (error) {
        if (!plan.isParsed) {
          planByText.delete(text);
          lost += 1;
        }
        throw error;
      }
    },
  };
}
