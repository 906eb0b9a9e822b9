-- Stores a value unless there is one. Returns whether it was stored.

local key, value = take_key(), take()
if has(key) then
  return 0
end
put(key, value, take())
return 1
