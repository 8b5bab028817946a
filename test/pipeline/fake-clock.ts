/** `--import` of a worker whose machine's clock is `FAKE_CLOCK_DAYS` away from the present, and jumps at each look. */
const offsetMs = Number(process.env['FAKE_CLOCK_DAYS'] ?? '0') * 86_400_000;
const RealDate = Date;
let looks = 0;

/** A day further away than at the look before, in the same direction; after a thousand looks back again. */
function now(): number {
  looks += 1;
  return RealDate.now() + offsetMs + Math.sign(offsetMs) * (looks % 1000) * 86_400_000;
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: unknown[]) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given) as Date,
  get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
});
