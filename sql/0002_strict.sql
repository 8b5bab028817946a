-- The key that a make is called for, by backend. The generated views of declared reads find it here with their owner's
-- rights; the role that a make reads as cannot touch it, which it could do with a session setting.
-- One row for each backend that ever ran such a make, rewritten in place: half of each page is kept free for that.
create unlogged table varve.make_key (
  backend integer primary key,
  key jsonb not null
) with (fillfactor = 50);
