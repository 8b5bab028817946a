select geo.follow_plate(2.5);
