/** `--import` of a worker whose machine's clock is years away, and jumps: `FAKE_CLOCK_DAYS` from the present, further each minute. */
const offsetMs = Number(process.env['FAKE_CLOCK_DAYS'] ?? '0') * 86_400_000;
const RealDate = Date;
let jumps = 0;

const now = (): number => {
  // Each look at the clock is a day further away than the one before, in the same direction.
  jumps += 1;
  return RealDate.now() + offsetMs + Math.sign(offsetMs) * (jumps % 1000) * 86_400_000;
};

class JumpingDate extends RealDate {
  constructor(...given: ConstructorParameters<typeof Date> | []) {
    super(...((given.length === 0 ? [now()] : given) as ConstructorParameters<typeof Date>));
  }
  static override now(): number {
    return now();
  }
}

globalThis.Date = JumpingDate as DateConstructor;
