drop index geo.country_shape;
drop index geo.airport_place;
