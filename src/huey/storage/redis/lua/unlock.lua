-- Frees a lock if it is still held with this value. Returns whether it was.

local key, value, hold = take_key(), take(), take()
may_exceed_memory()
call('HDEL', HOLDS, hold)
if get(key) == value then
  return delete(key)
end
return 0
