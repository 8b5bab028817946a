alter table geo.airport drop column country_id;
