-- Takes, or renews, one of a number of places. Returns whether that was possible.

local member, limit, ttl, holder, hold = take(), tonumber(take()), tonumber(take()), take(), take()
for _, other in ipairs(call('ZRANGE', places, 0, -1)) do
  holds(other, ttl)
end
if not call('ZSCORE', places, member) and call('ZCARD', places) >= limit then
  return 0
end
keep(member, ttl)
if holder ~= '' then
  call('HSET', HOLDS, hold, holder)
end
return 1
