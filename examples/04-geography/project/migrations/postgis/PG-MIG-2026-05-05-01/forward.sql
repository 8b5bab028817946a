update geo.airport set place = st_snaptogrid(place, 0.0001);
