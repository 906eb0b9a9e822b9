-- Makes a consumer known.

local consumer, info = take(), take()
may_exceed_memory()
call('HSET', CONSUMERS, consumer, info)
call('HINCRBY', BEATS, consumer, 1)
-- What an earlier consumer of this name held when it was declared dead does not count any more.
call('HDEL', TURNS, 'held')
