table s.cage
  column mouse bigint
  constraint cage_mouse_fkey FOREIGN KEY (mouse) REFERENCES s.mouse(id) ON DELETE CASCADE
  CREATE INDEX cage_mouse ON s.cage USING btree (mouse) WHERE (mouse > 1)

view s.mice
  column id bigint
  column name text

table s.mouse
  column id bigint not null generated always as identity
  column name text not null default 'x'::text
  column mood s.mood
  column size s.positive
  column twice integer generated always as ((size)::integer * 2)
  constraint mouse_name_check CHECK ((name <> ''::text))
  constraint mouse_name_key UNIQUE (name)
  constraint mouse_pkey PRIMARY KEY (id)
  CREATE TRIGGER stamped BEFORE INSERT ON s.mouse FOR EACH ROW EXECUTE FUNCTION s.stamp()

type s.mood as enum ('sad', 'it''s')

domain s.positive as integer CHECK ((VALUE > 0))

CREATE OR REPLACE FUNCTION s.stamp()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$begin return new; end$function$
