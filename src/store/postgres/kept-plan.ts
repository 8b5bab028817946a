/**
 * Plans that one session keeps, so that a statement which is sent again and again is parsed and planned once.
 *
 * | rule | why |
 * |---|---|
 * | only statements marked by `sql.kept` | a kept plan fails for good once the columns of its result change |
 * | a plan is made anew after so many uses | it was made for tables as large as they were then; nothing tells it of growth before the next `analyze`, which an embedded database never runs by itself |
 * | a plan whose first use failed is forgotten | whether the session has it is unknown; its name is not used again |
 * | so many at most | the session holds each until its end, in some 100 kB |
 * | when there are so many, one that was long not used makes room | a session that lives long meets ever other tables; to drop the next one that is wanted would cost more than it saves |
 */

/** How a statement is to be sent: under this name, and parsed before when the session does not have it yet. */
export interface KeptPlan {
  readonly name: string;
  readonly isParsed: boolean;
}

interface Kept extends KeptPlan {
  readonly uses: number;
  /** Which of the session's kept statements was its last one. */
  readonly lastUse: number;
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
/** Statements since its last use after which a plan makes room for another one. */
const UNUSED = 1024;
const MOST_LOST = 16;

/** Opens the plans of a session that has none yet. */
export function createKeptPlans(): KeptPlans {
  // The one that was used last stands last.
  const planByText = new Map<string, Kept>();
  let made = 0;
  let lost = 0;
  let ran = 0;

  const newPlan = () => ({ name: `varve_plan_${(made += 1)}`, isParsed: false, uses: 0 });
  const makePlace = async (drop: (name: string) => Promise<void>): Promise<boolean> => {
    if (lost >= MOST_LOST) return false;
    if (planByText.size < MOST_PLANS) return true;
    const [oldest] = planByText;
    if (oldest === undefined || ran - oldest[1].lastUse <= UNUSED) return false;
    const [text, { name }] = oldest;
    await drop(name);
    planByText.delete(text);
    return true;
  };

  return {
    run: async (text, { send, drop }) => {
      ran += 1;
      const known = planByText.get(text);
      if (known === undefined && !(await makePlace(drop))) return send(undefined);
      if (known !== undefined && known.uses >= USES) await drop(known.name);
      const plan = known === undefined || known.uses >= USES ? newPlan() : known;
      try {
        const result = await send(plan);
        planByText.delete(text);
        planByText.set(text, { ...plan, isParsed: true, uses: plan.uses + 1, lastUse: ran });
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
