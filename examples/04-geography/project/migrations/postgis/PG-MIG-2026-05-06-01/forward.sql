alter table geo.airport add column country_id text;

-- Simplified shapes overlap here and there: the lowest id decides, so that the result does not hang on the order of rows.
update geo.airport a set country_id = found.country
from (select a.id, min(c.id) as country from geo.airport a join geo.country c on st_covers(c.shape, a.place) group by a.id) found
where found.id = a.id;
