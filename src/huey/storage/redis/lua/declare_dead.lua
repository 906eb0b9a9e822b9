-- Takes the heartbeat from a consumer, if it is still the one that the watcher saw; from then on it
-- gets nothing more. Remembers how many messages it held: one that died without company is told
-- apart. Returns whether there is anything to do.

local consumer, seen = take(), take()
may_exceed_memory()
local beat = call('HGET', BEATS, consumer)
if seen ~= '' and seen ~= (beat or '-1') then
  return 0
end
if call('HEXISTS', CONSUMERS, consumer) == 0 then
  return 0
end
call('HDEL', BEATS, consumer)
call('HSETNX', TURNS, 'held', call('HLEN', CLAIMS))
return 1
