/**
 * Positions on the ground, in the three forms in which a spatial store writes them: WKT, WKB in hexadecimal form, and
 * GeoJSON; and as numbers handed to a constructor.
 */
import type { Spot } from './spot.ts';

/** An area whose positions nobody may read in an authored file: degrees, as in EPSG:4326. */
export interface RestrictedArea {
  readonly name: string;
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** A spot with the box around its positions. */
export interface PositionSpot extends Spot {
  /** Undefined where it cannot be told. */
  readonly box: Box | undefined;
  /** The reference system that it names; 0 where it names none. */
  readonly srid: number;
}

/** The smallest box around positions. */
export interface Box {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** Every position in a text. */
export function positionSpots(text: string): readonly PositionSpot[] {
  return [...wktSpots(text), ...constructorSpots(text), ...geoJsonSpots(text), ...hexSpots(text)];
}

/** How a position lies to the restricted areas. `unknown`: it is given in another reference system. */
export function whereIs(
  { box, srid }: Pick<PositionSpot, 'box' | 'srid'>,
  areas: readonly RestrictedArea[],
): 'inside' | 'outside' | 'unknown' {
  if (box === undefined || (srid !== 0 && srid !== 4326)) return 'unknown';
  const meets = (area: RestrictedArea): boolean =>
    box.west <= area.east && area.west <= box.east && box.south <= area.north && area.south <= box.north;
  return areas.some(meets) ? 'inside' : 'outside';
}

/** The WKB that bytes are, as a spot at a place; undefined where they are none. */
export function wkbSpot(bytes: Uint8Array, at: number): PositionSpot | undefined {
  const found = readWkb(bytes);
  if (found === undefined || found.points.length === 0) return undefined;
  return { rule: 'ewkb', at, box: boxOf(found.points), srid: found.srid };
}

const NUMBER = String.raw`[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:e[-+]?\d{1,3})?`;
const WKT = new RegExp(
  String.raw`(?:\bsrid\s{0,5}=\s{0,5}(\d{1,6})\s{0,5};\s{0,5})?\b(?:multi)?(?:point|linestring|polygon|curve|surface|circularstring|compoundcurve|curvepolygon|polyhedralsurface|triangle|tin)\s{0,5}(?:zm|z|m)?\s{0,5}\([\s(]{0,20}${NUMBER}\s{1,10}${NUMBER}`,
  'giu',
);

function wktSpots(text: string): readonly PositionSpot[] {
  return [...text.matchAll(WKT)].map((match) => {
    const shape = balanced(text, text.indexOf('(', match.index), '(', ')');
    return {
      rule: 'wkt',
      at: match.index,
      box: pairsBox(shape, String.raw`\s{1,10}`),
      srid: Number(match[1] ?? 0),
    };
  });
}

const CONSTRUCTOR = new RegExp(
  String.raw`\b(?:st_(?:make)?point|st_makepointm|st_makeenvelope|point)\s{0,5}\(\s{0,5}(${NUMBER})\s{0,5},\s{0,5}(${NUMBER})`,
  'giu',
);

function constructorSpots(text: string): readonly PositionSpot[] {
  return [...text.matchAll(CONSTRUCTOR)].map((match) => {
    const shape = balanced(text, text.indexOf('(', match.index), '(', ')');
    // st_setsrid(st_point(x, y), srid), or the last argument of the constructor itself
    const srid = /^\s{0,5}(?:,\s{0,5}(\d{4,6}))/u.exec(
      text.slice(text.indexOf('(', match.index) + shape.length),
    )?.[1];
    return {
      rule: 'coordinates',
      at: match.index,
      box: pairsBox(shape, String.raw`\s{0,5},\s{0,5}`),
      srid: Number(srid ?? 0),
    };
  });
}

const GEOJSON =
  /(?:\\{0,3}["'])?\b(?:coordinates|bbox)(?:\\{0,3}["'])?\s{0,5}:\s{0,5}\[[\s[]{0,40}[-+]?\.?\d/giu;

function geoJsonSpots(text: string): readonly PositionSpot[] {
  return [...text.matchAll(GEOJSON)].map((match) => {
    const shape = balanced(text, text.indexOf('[', match.index), '[', ']');
    return { rule: 'geojson', at: match.index, box: pairsBox(shape, String.raw`\s{0,20},\s{0,20}`), srid: 0 };
  });
}

function hexSpots(text: string): readonly PositionSpot[] {
  const spots: PositionSpot[] = [];
  for (const match of text.matchAll(/(?<![0-9a-f])(?:\\{0,2}x|0x)?(0[01][0-9a-f]{40,})(?![0-9a-f])/giu)) {
    const digits = match[1] ?? '';
    if (digits.length % 2 !== 0) continue;
    const spot = wkbSpot(
      Uint8Array.from({ length: digits.length / 2 }, (_, index) =>
        Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
      ),
      match.index,
    );
    if (spot !== undefined) spots.push(spot);
  }
  return spots;
}

/** From an opening bracket to the one that closes it, or as far as anybody looks. */
function balanced(text: string, from: number, open: string, close: string): string {
  let depth = 0;
  const end = Math.min(text.length, from + MAX_SHAPE);
  for (let index = from; index < end; index += 1) {
    if (text[index] === open) depth += 1;
    else if (text[index] === close) depth -= 1;
    if (depth === 0) return text.slice(from, index + 1);
  }
  return text.slice(from, end);
}

const MAX_SHAPE = 1_000_000;

function pairsBox(shape: string, separator: string): Box | undefined {
  const pair = new RegExp(`(${NUMBER})${separator}(${NUMBER})`, 'giu');
  return boxOf([...shape.matchAll(pair)].map(([, x, y]) => [Number(x), Number(y)] as const));
}

function boxOf(points: readonly (readonly [number, number])[]): Box | undefined {
  if (points.length === 0) return undefined;
  const box = { west: Infinity, south: Infinity, east: -Infinity, north: -Infinity };
  for (const [x, y] of points) {
    box.west = Math.min(box.west, x);
    box.east = Math.max(box.east, x);
    box.south = Math.min(box.south, y);
    box.north = Math.max(box.north, y);
  }
  return box;
}

interface Wkb {
  readonly srid: number;
  readonly points: readonly (readonly [number, number])[];
}

/**
 * Reads WKB, ISO or extended. A digest that happens to begin like one does not have the length that follows from its
 * head, so nothing but the whole is taken.
 */
function readWkb(bytes: Uint8Array): Wkb | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const points: (readonly [number, number])[] = [];
  let at = 0;
  let srid = 0;
  const isRead = (): boolean => {
    const shape = (depth: number): boolean => {
      const order = view.getUint8(at);
      if (order > 1 || depth > 8) return false;
      const little = order === 1;
      const count = (): number => {
        at += 4;
        return view.getUint32(at - 4, little);
      };
      at += 1;
      const type = count();
      const base = (type & 0x0fff_ffff) % 1000;
      const level = Math.floor((type & 0x0fff_ffff) / 1000);
      if (base < 1 || base > 17 || level > 3) return false;
      if ((type & 0x2000_0000) !== 0) srid = count();
      if (srid > 999_999) return false;
      const hasZ = (type & 0x8000_0000) !== 0 || level === 1 || level === 3;
      const hasM = (type & 0x4000_0000) !== 0 || level >= 2;
      const point = (): void => {
        const [x, y] = [view.getFloat64(at, little), view.getFloat64(at + 8, little)];
        at += 8 * (2 + (hasZ ? 1 : 0) + (hasM ? 1 : 0));
        if (!Number.isNaN(x)) points.push([x, y]);
      };
      const line = (): void => {
        for (let left = count(); left > 0; left -= 1) point();
      };
      if (base === 1) point();
      else if (base === 2 || base === 8) line();
      else if (base === 3 || base === 17) for (let left = count(); left > 0; left -= 1) line();
      else for (let left = count(); left > 0; left -= 1) if (!shape(depth + 1)) return false;
      return at <= bytes.byteLength;
    };
    try {
      return shape(0) && at === bytes.byteLength;
    } catch {
      return false; // it ends before its head says
    }
  };
  return isRead() ? { srid, points } : undefined;
}
