create index concurrently airport_country on geo.airport (country_id);
