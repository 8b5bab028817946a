create index airport_place on geo.airport using gist (place);
create index country_shape on geo.country using gist (shape);
