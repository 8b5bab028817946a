drop index geo.airport_country;
