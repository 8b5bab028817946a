update geo.airport set place = place where id < 0;
