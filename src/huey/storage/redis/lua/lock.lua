-- Takes a lock unless somebody else holds it. A hold remembers with whose death it is freed.

local key, value, ttl, holder, hold = take_key(), take(), take(), take(), take()
local standing = get(key)
if standing and standing ~= value then
  return 0
end
if not standing then
  put(key, value, ttl)
end
if holder ~= '' then
  call('HSET', HOLDS, hold, holder)
end
return 1
