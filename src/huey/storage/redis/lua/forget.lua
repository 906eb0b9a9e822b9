-- Removes the last traces of a consumer, if nobody signed on under its name meanwhile.

local consumer = take()
may_exceed_memory()
if call('HEXISTS', BEATS, consumer) == 0 then
  call('HDEL', CONSUMERS, consumer)
  call('DEL', TURNS)
  call('ZADD', GONE, micros() / 1000000, consumer)
end
